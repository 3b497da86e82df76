# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A database with a secret in every sealed column, put there and taken out by those who use it."""

from __future__ import annotations

from dataclasses import replace

import orjson

from provisioning import live_settings
from provisioning.audit import CLI
from provisioning.event_streams import streams
from provisioning.issuing import activations, link_codes, pins
from provisioning.mails import outbox
from provisioning.mails.mail import Template
from provisioning.models import (
    Activation,
    Connection,
    DeferredRequest,
    EventStream,
    Job,
    OutboxMail,
    PanelAccount,
)
from provisioning.panel import access, kept_forms
from provisioning.panel.access import Role
from provisioning.sealing import columns
from provisioning.services import Services
from provisioning.settings import SecondCode
from provisioning.storage.db import transaction
from provisioning.upstream import tokens
from tests.fakes import people

PIN, PASSWORD, AUTHORIZATION = "491730", "canary-4711", "Bearer canary-4712"
TYPED = [("name", "canary-4713")]
BODY = {"schemas": ["canary-4714"]}
_CONTEXT: dict[str, str | int | None] = {
    "organisation": "Example Hospital",
    "name": "Ada Lovelace",
    "key_name": "Card of Ada Lovelace",
    "base_url": "https://keys.example.org",
    "contact": "the service desk",
}


def mail(services: Services) -> OutboxMail:
    """A PIN on its way."""
    with transaction():
        return outbox.queue(
            Template.PIN, "ada@example.org", vault=services.vault, context=_CONTEXT, secret=PIN
        )


def fill(services: Services, mails: int = 1) -> str:
    """Put a secret into each column, and mails besides; return the code of the link."""
    asks = services.settings.model_copy(update={"second_code": SecondCode.ALL})
    asking = replace(services, settings=asks)
    key = people.pending_key(people.person())
    for _ in range(mails):
        mail(services)
    with transaction():
        link, _url = activations.issue(key, asking, CLI)
        code = link_codes.show(link, services, CLI)
        job = Job.create(resource_id="job", op="enrol", station=people.station(services))
        pins.seal(services.vault, job, PIN)
        job.save()
        live_settings.change({"mail_password": PASSWORD}, 0, CLI, services)
        upstream = tokens.create_connection("Entra ID", CLI)
        streams.add(
            upstream,
            CLI,
            vault=services.vault,
            method=streams.Method.PUSH,
            endpoint="https://example.com/events",
            authorization=AUTHORIZATION,
        )
        officer = access.create_account("Grace Hopper", Role.OWNER, CLI)
        kept_forms.keep(officer.id, "/groups/new", TYPED, services.vault)
        sealed = services.vault.seal(orjson.dumps(BODY), columns.REQUEST.binding("txn"))
        DeferredRequest.create(
            txn="txn", connection=Connection.get(), token="token", sealed_body=sealed
        )
    return code


def check(services: Services, code: str) -> None:
    """Open all that `fill` has put there, by the functions that do so in earnest."""
    vault = services.vault
    opened = [outbox.secret_of(row, vault) for row in OutboxMail.select().order_by(OutboxMail.id)]
    assert all(secret == PIN for secret in opened[:-1])
    assert str(opened[-1]).startswith("http")
    assert pins.unseal(vault, Job.get()) == PIN
    with transaction():
        assert link_codes.show(Activation.get(), services, CLI) == code
        assert kept_forms.take(PanelAccount.get().id, "/groups/new", vault) == TYPED
        kept_forms.keep(PanelAccount.get().id, "/groups/new", TYPED, vault)
    assert live_settings.layered(replace(services, version=-1)).settings.mail_password == PASSWORD
    assert streams.authorization_of(EventStream.get(), vault) == AUTHORIZATION
    body = bytes(DeferredRequest.get().sealed_body)
    assert orjson.loads(vault.unseal(body, columns.REQUEST.binding("txn"))) == BODY
