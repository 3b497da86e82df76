# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""People and keys to test with, made through the core's own verbs."""

from __future__ import annotations

import secrets

from provisioning import directory, keys, tasks
from provisioning.audit import CLI, Actor
from provisioning.ceremonies.ceremony import VerifiedRegistration
from provisioning.desks import jobs, orders, stations
from provisioning.lifecycle import JobState, JobStep, KeyKind
from provisioning.models import Job, MassDeparture, PanelAccount, SecurityKey, Station, User
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.storage.db import transaction
from provisioning.upstream import departures


def document(user_name: str = "ada", **more: object) -> dict[str, object]:
    """An RFC 7643 user document as the doors hand it to the core."""
    return {
        "userName": user_name,
        "displayName": "Ada Lovelace",
        "active": True,
        "emails": [{"value": f"{user_name}@example.org", "type": "work", "primary": True}],
        **more,
    }


def person(user_name: str = "ada", **more: object) -> User:
    """A user made by hand."""
    with transaction():
        return directory.create_user(document(user_name, **more), connection=None, actor=CLI)


def account(actor: Actor, role: Role, *, user: User | None = None) -> PanelAccount:
    """The panel account that acts as this one."""
    return PanelAccount.create(
        id=int(actor.id or 0),
        name=actor.name,
        role=role,
        user_handle=secrets.token_bytes(64),
        user=user,
    )


def station(services: Services, name: str = "Desk NFC") -> Station:
    """A paired station that was seen just now."""
    with transaction():
        _row, code = stations.make_code(services.vault, CLI)
        made = stations.pair(
            services.vault,
            code,
            name=name,
            signing_key=b"s" * 32,
            sealing_key=b"x" * 32,
            version="0",
        )
        assert made is not None
        return made


def registration(**changes: object) -> VerifiedRegistration:
    """What a ceremony hands on after its checks."""
    facts: dict[str, object] = {
        "credential_id": secrets.token_bytes(16),
        "public_key": b"key",
        "sign_count": 0,
        "aaguid": "00000000-0000-0000-0000-000000000000",
        "transports": ("nfc",),
        "fmt": "packed",
        "attestation_object": b"",
        "backup_eligible": False,
        "backed_up": False,
        "origin": "http://localhost:5005",
        "model": "Test card",
        **changes,
    }
    return VerifiedRegistration(**facts)  # type: ignore[arg-type]


def pending_key(user: User, name: str = "Card of Ada") -> SecurityKey:
    """A card assigned to a user and waiting for its activation."""
    with transaction():
        key = keys.draft(KeyKind.CONTACTLESS_CARD, name, "user", user=user, actor=CLI)
        keys.assign(key, user, CLI)
    return key


def active_key(user: User, name: str = "Card of Ada") -> SecurityKey:
    """A card that works."""
    key = pending_key(user, name)
    with transaction():
        keys.register(key, registration(), "localhost", CLI)
        keys.activate(key, CLI)
    return key


def tapped(services: Services, key: SecurityKey, at: Station) -> Job:
    """The enrolment of a key whose card is finished at a station."""
    with transaction():
        job = orders.queue_enrolment(at, key, services, CLI)
        job.state = JobState.RUNNING
        jobs.tell(job, pin_setting=True)
        keys.register(key, registration(), "localhost", CLI)
        jobs.step_to(job, JobStep.DONE)
        jobs.finish(job, CLI)
    return job


def brought_back(services: Services, held: MassDeparture) -> int:
    """How many of a mass departure are back, once somebody has rejected it."""
    with transaction():
        task = departures.take_back(held, CLI)
    tasks.finish(task, services)
    return sum(outcome == tasks.Outcome.DONE for _label, outcome, _detail in tasks.results(task))


def again(row: object) -> object:
    """The row as the database has it now."""
    return type(row).get_by_id(row.id)  # type: ignore[attr-defined]
