# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""An installation with something on every page, made through the core's own verbs."""

from __future__ import annotations

import http.client
import io
import json
import secrets
import uuid
from urllib.parse import urlsplit

from provisioning import directory, groups, keys, tasks
from provisioning.audit import CLI, Actor
from provisioning.clock import DAY, HOUR, now_ms
from provisioning.csv_import import imports
from provisioning.csv_import.columns import Content
from provisioning.desks import stations
from provisioning.event_streams import streams
from provisioning.issuing import activations, approvals
from provisioning.lifecycle import KeyKind, Reason
from provisioning.mails.outbox import MailState
from provisioning.models import (
    Activation,
    Connection,
    OutboxMail,
    PanelAccount,
    PanelCredential,
    SecurityKey,
    Station,
    User,
)
from provisioning.panel import access
from provisioning.panel.access import Role, SessionKind
from provisioning.services import Services
from provisioning.storage.db import transaction
from provisioning.upstream import tokens
from tests.bench.people import ENTERPRISE
from tests.fakes.people import pending_key, registration

NAMES = (
    "Ada Lovelace", "Alan Turing", "Barbara Liskov", "Edsger Dijkstra", "Frances Allen",
    "Grace Hopper", "John Backus", "Katherine Johnson", "Niklaus Wirth", "Radia Perlman",
    "Jean Sammet", "Margaret Hamilton", "Annie Easley", "Konrad Zuse", "Mary Keller",
    "Ida Rhodes", "Adele Goldberg", "Ken Iverson", "Peter Naur", "Tony Hoare",
)  # fmt: skip
LONG = "Maria-Theresia Wilhelmine von und zu Sonnenschein-Wetterstein der Ältere"
WARDS = ("Nurses", "Doctors", "Ward 3", "Pharmacy", "Night shift of the intensive care unit, east")
TITLES = ("Nurse", "Surgeon", "Head of pharmacy", "Anaesthetist", "Porter")


def owner(name: str = "Grace Hopper") -> tuple[PanelAccount, str]:
    """An owner of the panel who has just confirmed with a key, and the session's cookie."""
    with transaction():
        account = access.create_account(name, Role.OWNER, CLI)
        for label in ("Key on my ring", "Spare in the safe"):
            PanelCredential.create(
                account=account,
                label=label,
                rp_id="localhost",
                credential_id=secrets.token_bytes(16),
                public_key=b"",
                aaguid=str(uuid.UUID(int=0)),
                attestation_format="packed",
                attestation_object=b"",
            )
        session, secret = access.open_session(SessionKind.PANEL, account=account)
        access.stepped_up(session)
    return account, secret


def fill(services: Services, account: PanelAccount) -> str:
    """Put people, groups, keys and the rest in; return a directory's token, to be used."""
    with transaction():
        entra = tokens.create_connection("Entra ID", CLI)
        _, token = tokens.create(entra, 90, CLI)
        okta = tokens.create_connection("Okta of the partner clinic", CLI, "users")
        late, _ = tokens.create(okta, 1, CLI)
        late.expires_at = now_ms() + 5 * HOUR
        late.save()
    people = _people(entra)
    _groups(people, entra)
    _keys(services, people, account)
    _stations(services)
    _mails()
    _imports(services, Actor("account", str(account.id), account.name))
    _streams(services, entra)
    return token


def push(url: str, token: str) -> None:
    """Let the directory ask: people who are new, one twice, and things that are refused."""
    person = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "joan.clarke@example.org",
        "displayName": "Joan Clarke",
        "emails": [{"value": "joan.clarke@example.org", "type": "work", "primary": True}],
        "favouriteColour": "green",
    }
    for method, path, body in (
        ("GET", "/scim/v2/ServiceProviderConfig", None),
        ("POST", "/scim/v2/Users", person),
        ("POST", "/scim/v2/Users", person),
        ("GET", "/scim/v2/Users?filter=userName%20eq%20%22joan.clarke@example.org%22", None),
        ("POST", "/scim/v2/Users", {**person, "userName": 7}),
        ("GET", "/scim/v2/Users/no-such-one", None),
    ):
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        connection.request(
            method,
            path,
            json.dumps(body) if body is not None else None,
            {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"},
        )
        connection.getresponse().read()
        connection.close()


def link_of(services: Services, name: str = "Spare key") -> str:
    """A live activation link: what follows the # in a mail."""
    with transaction():
        person = User.get(User.user_name == "radia.perlman")
        key = keys.draft(KeyKind.USB_KEY, name, "user", user=person, actor=CLI)
        keys.assign(key, person, CLI)
        return activations.issue(key, services, CLI)[1]


def session_of(kind: SessionKind) -> str:
    """A signed-in person's cookie, or that of somebody who follows a link."""
    with transaction():
        if kind is SessionKind.USER:
            person = User.get(User.user_name == "ada.lovelace")
            key = SecurityKey.get(SecurityKey.user == person, SecurityKey.state == "active")
            return access.open_session(kind, user=person, key=key)[1]
        activation = Activation.select().where(Activation.state == "live").get()
        return access.open_session(
            kind, user=activation.key.user, key=activation.key, activation=activation
        )[1]


def _people(entra: Connection) -> list[User]:
    made = []
    for number, name in enumerate((*NAMES, LONG)):
        given, _, family = name.partition(" ")
        user_name = name.lower().replace(" ", ".")[:40]
        document: dict[str, object] = {
            "userName": user_name,
            "displayName": name,
            "active": True,
            "name": {"givenName": given, "familyName": family},
            "title": TITLES[number % len(TITLES)],
            ENTERPRISE: {"department": WARDS[number % 3], "employeeNumber": f"{1815 + number}"},
        }
        if name != "Konrad Zuse":  # nothing can be mailed to him
            address = f"{user_name.split('-')[0]}@example.org"
            document["emails"] = [{"value": address, "type": "work", "primary": True}]
        owner_of = entra if number % 3 else None
        with transaction():
            made.append(directory.create_user(document, connection=owner_of, actor=CLI))
    return made


def _groups(people: list[User], entra: Connection) -> None:
    for number, name in enumerate(WARDS):
        owned = entra if number in (1, 4) else None
        members = [
            person.resource_id
            for place, person in enumerate(people)
            if (place % 3 == 1 if owned else place % (number + 2) == 0)
        ]
        with transaction():
            group = groups.create_group({"displayName": name}, connection=owned, actor=CLI)
            groups.add_members(group, members, actor=CLI)


def _keys(services: Services, people: list[User], account: PanelAccount) -> None:
    actor = Actor("account", str(account.id), account.name)
    rp_id, origin = services.settings.rp_id, services.settings.origin
    kinds = list(KeyKind)
    for number, person in enumerate(people[:14]):
        kind = kinds[number % len(kinds)]
        method = "user" if number % 2 else "admin"
        with transaction():
            name = f"Card of {person.display_name}"[:64]
            key = keys.draft(kind, name, method, user=person, actor=actor)
            keys.assign(key, person, actor)
            if number % 5 != 4:
                model = ("Aster NFC", "Beryl Card 5", "Corundum C NFC")[number % 3]
                keys.register(key, registration(origin=origin, model=model), rp_id, actor)
                keys.activate(key, actor)
                key.last_used_at = now_ms() - number * DAY
                key.save()
                person.last_activity_at = key.last_used_at
                person.save()
            elif person.email:
                activations.issue(key, services, actor)
            if number == 3:
                keys.suspend(key, Reason.LOST, actor)
            if number == 6:
                keys.revoke(key, Reason.DAMAGED, actor)
            if number == 8:
                keys.need_reset(key, actor, "the card was pulled while its PIN was being set")
    spare = pending_key(people[0], "Spare card in the safe")
    with transaction():
        approvals.ask(spare, people[0], actor)
        gone = people[9 + 3]
        document = {**directory.document_of(gone), "active": False}
        directory.replace_user(gone, document, actor=actor)


def _stations(services: Services) -> None:
    shown = (
        ("Reception", "no_card", "Example CL Reader 1000"),
        ("Desk NFC", "card", "Example CL Reader 1000"),
        ("IT workshop", "no_reader", ""),
        ("Old desk in the basement of the east wing", "no_card", "Example Tap 2"),
    )
    for number, (name, state, reader) in enumerate(shown):
        with transaction():
            _, code = stations.make_code(services.vault, CLI)
            made = stations.pair(
                services.vault,
                code,
                name=name,
                signing_key=bytes([number]) * 32,
                sealing_key=bytes([number]) * 32,
                version="0.1.0",
            )
            assert made is not None
            stations.seen(made, state=state, reader=reader, version="0.1.0")
    Station.update(last_seen_at=now_ms() - 3 * DAY).where(Station.name.startswith("Old")).execute()


def _mails() -> None:
    with transaction():
        some = [row.id for row in OutboxMail.select(OutboxMail.id).order_by(OutboxMail.id).limit(3)]
        OutboxMail.update(
            state=MailState.DEAD, last_error="The mail server refused the mail: 554 5.6.0"
        ).where(OutboxMail.id == some[0]).execute()


def _imports(services: Services, actor: Actor) -> None:
    head = "Benutzername;E-Mail;Vorname;Nachname;Titel;Abteilung"
    rows = [
        "hedy.lamarr;hedy.lamarr@example.org;Hedy;Lamarr;Engineer;Ward 3",
        "ada.lovelace;ada@example.org;Ada;King;Nurse;Nurses",
        "alan.turing;alan.turing@example.org;Alan;Turing;Boss;Nurses",
        ";nobody@example.org;;;;",
        "joan.clarke;not an address;Joan;Clarke;;",
        "hedy.lamarr;;;;;",
    ]
    rows += [f"temp{n};temp{n}@example.org;Temp;Number {n};;Pharmacy" for n in range(140)]
    for apply in (True, False):
        text = "\n".join([head, *(rows[:-40] if apply else rows)])
        file = imports.spool(io.BytesIO(text.encode("cp1252")), "staff of november.csv", actor)
        with transaction():
            check = imports.check(
                file, Content.PEOPLE, imports.columns_of(file), "HR office", actor
            )
        tasks.finish(check, services)
        if apply:
            with transaction():
                run = imports.run(imports.get(file.resource_id), actor, checked=check.resource_id)
            tasks.finish(run, services)
    imports.spool(io.BytesIO(b"colour,shape\nred,round\n"), "not people.csv", actor)


def _streams(services: Services, entra: Connection) -> None:
    """A receiver that is away, and one that comes for its events by itself."""
    with transaction():
        away = streams.add(
            entra,
            CLI,
            vault=services.vault,
            method=streams.Method.PUSH,
            endpoint="https://receiver.invalid/keywright/events",
            authorization="Bearer of-nobody",
        )
        streams.add(
            entra,
            CLI,
            vault=services.vault,
            method=streams.Method.POLL,
            detail=streams.Detail.FULL,
            audience="https://siem.example.org",
        )
        streams.release(away, error="receiver.invalid has no address.")
