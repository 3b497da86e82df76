# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Whose card is this? A tapped card signs without its PIN, and that names its key.

The signature shows that the card is the one that was registered. It says nothing of who holds
it, so nobody is signed in by it. Functions never commit.
"""

from __future__ import annotations

from .. import audit
from ..audit import Actor, Event
from ..ceremonies import ceremony
from ..ceremonies.ceremony import TakenChallenge
from ..errors import CeremonyRefused
from ..models import Credential, Job, PanelCredential
from ..panel import sign_in
from ..services import Services

PURPOSE = "panel.verify"


def recognise(
    job: Job, response: object, taken: TakenChallenge | None, services: Services, actor: Actor
) -> None:
    """Note on the job whose card answered, in whatever state its key is.

    Raises CeremonyRefused: unknown here, or no signature of this card.
    """
    found = _credential(ceremony.credential_id_of(response))
    if found is None:
        raise CeremonyRefused("This card holds no key of this organisation.", "unknown_credential")
    holder = found.key if isinstance(found, Credential) else found.account
    verified = ceremony.verify_authentication(
        response,
        taken,
        party=sign_in.party(services),
        public_key=bytes(found.public_key),
        sign_count=found.sign_count,
        user_handle=bytes(holder.user_handle),
        require_uv=False,
    )
    found.sign_count = verified.new_sign_count
    found.save()
    if isinstance(found, Credential):
        name, job.key, job.user = found.key.name, found.key, found.key.user
    else:
        name, job.account = found.label, found.account
    audit.record(
        actor,
        Event.CARD_RECOGNISED,
        user=job.user,
        key=job.key,
        name=name,
        station=job.station.name,
    )


def _credential(credential_id: bytes) -> Credential | PanelCredential | None:
    found: Credential | None = Credential.get_or_none(Credential.credential_id == credential_id)
    if found is not None:
        return found
    panel: PanelCredential | None = PanelCredential.get_or_none(
        PanelCredential.credential_id == credential_id
    )
    return panel
