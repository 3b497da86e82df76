# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Signing in with a key: the same checks for a browser's answer and for one made at a desk."""

from __future__ import annotations

from .. import audit, keys
from ..audit import Actor, Event
from ..ceremonies import ceremony
from ..ceremonies.ceremony import RelyingParty, TakenChallenge, VerifiedRegistration
from ..clock import now_ms
from ..errors import CeremonyRefused
from ..issuing import terms
from ..lifecycle import KeyState, Reason
from ..mails import alerts
from ..models import Credential, PanelAccount, PanelCredential, SecurityKey
from ..services import Services
from ..storage.db import tuples
from . import access

USER = "user.sign_in"
PANEL = "panel.sign_in"
STEP_UP = "panel.step_up"


def party(services: Services) -> RelyingParty:
    """Return who we are to an authenticator."""
    settings = services.settings
    return RelyingParty(settings.rp_id, settings.origin, settings.organisation)


def user_key_by(response: object, taken: TakenChallenge | None, services: Services) -> SecurityKey:
    """Return the active key, of an active user, that made this assertion, and note its use.

    Raises CeremonyRefused with the same words for every reason (R15, R30); `reason` tells the
    audit log.
    """
    credential = Credential.get_or_none(
        Credential.credential_id == ceremony.credential_id_of(response)
    )
    if credential is None:
        raise _refused("unknown_credential")
    key = credential.key
    user = key.user
    if user is None or not user.active or user.deleted_at is not None:
        raise _refused("user_inactive")
    if key.state != KeyState.ACTIVE:
        raise _refused(f"key_{key.state}")
    if terms.has_ended(key):
        raise _refused("key_ended")
    verified = ceremony.verify_authentication(
        response,
        taken,
        party=party(services),
        public_key=bytes(credential.public_key),
        sign_count=credential.sign_count,
        user_handle=bytes(key.user_handle),
        need_user_handle=True,
    )
    keys.used(key, credential, verified)
    audit.record(
        Actor("user", user.resource_id, user.display_name),
        Event.USER_SIGNED_IN,
        user=user,
        key=key,
        name=key.name,
    )
    return key


def account_by(response: object, taken: TakenChallenge | None, services: Services) -> PanelAccount:
    """Return the active panel account that made this assertion. Raises CeremonyRefused."""
    credential = PanelCredential.get_or_none(
        PanelCredential.credential_id == ceremony.credential_id_of(response)
    )
    if credential is None:
        raise _refused("unknown_credential")
    account: PanelAccount = credential.account
    if account.state != "active":
        raise _refused("account_suspended")
    if credential.locked_at is not None:
        raise _refused("key_locked")
    verified = ceremony.verify_authentication(
        response,
        taken,
        party=party(services),
        public_key=bytes(credential.public_key),
        sign_count=credential.sign_count,
        user_handle=bytes(account.user_handle),
    )
    credential.sign_count = verified.new_sign_count
    credential.last_used_at = now_ms()
    credential.save()
    return account


def panel_keys(account: PanelAccount) -> list[bytes]:
    """Return the credential ids of an account's keys."""
    rows = PanelCredential.select(PanelCredential.credential_id).where(
        PanelCredential.account == account, PanelCredential.locked_at.is_null()
    )
    return [bytes(row[0]) for row in tuples(rows)]


def add_panel_key(
    account: PanelAccount, verified: VerifiedRegistration, label: str, services: Services
) -> PanelCredential:
    """Store a panel account's key."""
    credential = PanelCredential.create(
        account=account,
        label=label,
        rp_id=services.settings.rp_id,
        credential_id=verified.credential_id,
        public_key=verified.public_key,
        sign_count=verified.sign_count,
        aaguid=verified.aaguid,
        transports=" ".join(verified.transports),
        attestation_format=verified.fmt,
        attestation_object=verified.attestation_object,
        backup_eligible=verified.backup_eligible,
        backed_up=verified.backed_up,
    )
    audit.record(
        Actor("account", str(account.id), account.name),
        Event.KEY_REGISTERED,
        name=label,
        account=account.name,
        aaguid=verified.aaguid,
        attestation=verified.fmt,
    )
    return credential


def lock_regressed(response: object, actor: Actor) -> None:
    """Stop the key whose counter went backwards: a copy of it may be in use (R15).

    A panel key stays locked until an owner or the command line gives its account another.
    """
    credential_id = ceremony.credential_id_of(response)
    panel = PanelCredential.get_or_none(PanelCredential.credential_id == credential_id)
    if panel is not None and panel.locked_at is None:
        panel.locked_at = now_ms()
        panel.save()
        access.end_account_sessions(panel.account)
        audit.record(
            actor,
            Event.KEY_SUSPENDED,
            name=panel.label,
            account=panel.account.name,
            reason=Reason.COUNTER_REGRESSED,
        )
        alerts.note(alerts.Kind.KEY_LOCKED, f"panel:{panel.id}", panel.label, "/settings/accounts")
    credential = Credential.get_or_none(Credential.credential_id == credential_id)
    if credential is not None and credential.key.state == KeyState.ACTIVE:
        key = credential.key
        keys.suspend(key, Reason.COUNTER_REGRESSED, actor)
        holder = f"/users/{key.user.resource_id}" if key.user is not None else "/keys"
        alerts.note(alerts.Kind.KEY_LOCKED, f"{key.resource_id}:{now_ms()}", key.name, holder)


def _refused(reason: str) -> CeremonyRefused:
    return CeremonyRefused("This key does not sign in here.", reason)
