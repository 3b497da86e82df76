# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A link's second code: who reads the mail alone cannot activate a key (R11, T1).

Where the setting asks for it, a link opens only with eight characters besides, 40 random bits,
that no mail holds: an admin reads them on the person's page and tells them by phone or in person.
Ten wrong ones end the link. Functions never commit.
"""

from __future__ import annotations

import hmac
import secrets

from .. import audit
from ..audit import Actor, Event
from ..errors import WrongState
from ..models import Activation, PanelAccount, User
from ..sealing import columns
from ..services import Services
from ..settings import SecondCode
from ..vault import SealBroken

MOST_TRIES = 10
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: 5 bits each, no I, L, O, U
_LENGTH = 8
_READ_AS = str.maketrans("OIL", "011", " -\u2013")


def make(link_id: str, user: User, services: Services) -> bytes | None:
    """Return a new link's code, sealed, or None where the link asks for none."""
    if not _is_asked_of(user, services.settings.second_code):
        return None
    code = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    return services.vault.seal(code.encode(), bound_to=_bound(link_id))


def is_asked(activation: Activation) -> bool:
    """Say whether this link opens only with a code."""
    return activation.sealed_code is not None


def is_right(activation: Activation, typed: str, services: Services) -> bool:
    """Say whether that is the link's code, and count a wrong one, to be committed by the caller.

    Case, blanks and hyphens do not matter, nor does O for 0 or I for 1.
    """
    told = typed.upper().translate(_READ_AS)
    if hmac.compare_digest(told.encode(), _code(activation, services).encode()):
        return True
    activation.code_tries += 1
    activation.save()
    audit.record(
        audit.LINK_HOLDER,
        Event.LINK_CODE_WRONG,
        user=activation.user,
        key=activation.key,
        link=activation.resource_id,
        tries=activation.code_tries,
    )
    return False


def show(activation: Activation, services: Services, actor: Actor) -> str:
    """Return the code as it is read out: `7K3M-Q0ZP`. Raises WrongState where there is none."""
    activation.renew()
    code = _code(activation, services)
    audit.record(
        actor,
        Event.LINK_CODE_SHOWN,
        user=activation.user,
        key=activation.key,
        link=activation.resource_id,
    )
    return f"{code[:4]}-{code[4:]}"


def _is_asked_of(user: User, asked: SecondCode) -> bool:
    if asked is SecondCode.PANEL:
        return bool(PanelAccount.select().where(PanelAccount.user == user).exists())
    return asked is SecondCode.ALL


def _code(activation: Activation, services: Services) -> str:
    if activation.sealed_code is None:
        raise WrongState("This link asks for no code, or works no more.")
    sealed = bytes(activation.sealed_code)
    try:
        return services.vault.unseal(sealed, bound_to=_bound(activation.resource_id)).decode()
    except SealBroken:
        raise SealBroken(
            "The code of this link cannot be read any more: send a new link."
        ) from None


def _bound(link_id: str) -> str:
    return columns.LINK_CODE.binding(link_id)
