# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Events (RFC 9967): every change once, in its transaction, as a signed token to its receiver."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from click.testing import CliRunner
from flask import Flask

from provisioning import audit, keys
from provisioning import directory as people
from provisioning.cli import main
from provisioning.commands import streams as cli_streams
from provisioning.desks import jobs, orders
from provisioning.errors import InvalidValue, NotFound, WrongState
from provisioning.event_streams import deliveries, events, receivers, streams
from provisioning.event_streams.events import Kind
from provisioning.event_streams.streams import Detail, EventState, Method, StreamState
from provisioning.lifecycle import JobState, KeyKind, Reason
from provisioning.models import AuditEvent, Conflict, EventStream, MassDeparture, StreamEvent, User
from provisioning.services import Services
from provisioning.storage.db import transaction
from provisioning.storage.recorder import EXTENSION as RECORDER
from provisioning.upstream import conflicts, tokens
from scim import extensions, polling, security_events
from scim.caller import make_caller
from scim.door import Waits, open_door
from scim.resource_types import ENTERPRISE_USER, KEYWRIGHT_USER, USER
from scim.security_events import event_uris
from tests.fakes.people import active_key, brought_back, pending_key, station
from tests.fakes.receiver import Receiver, receiver
from tests.scim.pushing import USER as CORE_USER
from tests.scim.pushing import Directory, connect
from tests.scim.test_routes import refused

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

BASE = "http://localhost:5005/scim/v2"
PROV = "urn:ietf:params:scim:event:prov:"


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    """Which streams there are is kept by the process; the next test has another database."""
    yield
    events.forget()


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as mine:
        yield mine


def make(directory: Directory, services: Services, **more: Any) -> EventStream:
    given: dict[str, Any] = {"method": Method.POLL, "audience": "https://receiver.example", **more}
    with transaction():
        return streams.add(
            directory.connection, audit.CLI, vault=services.vault, local=True, **given
        )


def told(directory: Directory, stream: EventStream, **body: object) -> list[dict[str, Any]]:
    """Poll, verify and acknowledge; return the claims of what came, in order."""
    given = {"returnImmediately": True, **body}
    answer = directory("POST", f"/Events/{stream.resource_id}", given)
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "application/json"
    sets = answer.get_json()["sets"]
    directory("POST", f"/Events/{stream.resource_id}", {"maxEvents": 0, "ack": list(sets)})
    return [verified(directory.app, token) for token in sets.values()]


def verified(app: Flask, token: str, audience: str = "https://receiver.example") -> dict[str, Any]:
    """Check a token as its receiver does, with the published keys."""
    header = jwt.get_unverified_header(token)
    assert header["typ"] == "secevent+jwt"
    published = app.test_client().get("/scim/v2/jwks.json").get_json()
    key = next(each for each in published["keys"] if each["kid"] == header["kid"])
    assert "d" not in key
    claims: dict[str, Any] = jwt.decode(
        token,
        jwt.PyJWK(key).key,
        algorithms=["EdDSA"],
        audience=audience,
        issuer=BASE,
        options={"require": ["iss", "iat", "jti", "aud", "txn", "events"]},
    )
    assert "sub" not in claims
    assert "exp" not in claims
    assert claims["sub_id"]["format"] == "scim"
    return claims


def what(claims: dict[str, Any]) -> dict[str, Any]:
    return {
        uri.removeprefix("urn:ietf:params:scim:event:"): v for uri, v in claims["events"].items()
    }


@pytest.mark.req("RFC9967")
def test_a_persons_life_as_a_notice(services: Services, directory: Directory) -> None:
    stream = make(directory, services)
    user = directory.user("lovelace", externalId="e1", emails=[{"value": "lovelace@example.com"}])
    path = f"/Users/{user['id']}"
    directory.patch(
        path,
        {"op": "replace", "path": "title", "value": "Dr"},
        {"op": "add", "path": f"{ENTERPRISE_USER}:department", "value": "Mathematics"},
    )
    directory("PUT", path, {"schemas": [CORE_USER], "userName": "lovelace", "title": "Countess"})
    directory.patch(path, {"op": "replace", "path": "active", "value": False})
    directory.patch(path, {"op": "replace", "path": "active", "value": True})
    directory("DELETE", path)
    came = told(directory, stream)
    assert [what(claims) for claims in came] == [
        {"prov:create:notice": {"attributes": ["active", "emails", "externalId", "userName"]}},
        {"prov:patch:notice": {"attributes": ["title", f"{ENTERPRISE_USER}:department"]}},
        {
            "prov:put:notice": {
                "attributes": ["emails", "externalId", "title", f"{ENTERPRISE_USER}:department"]
            }
        },
        {"prov:patch:notice": {"attributes": ["active"]}, "prov:deactivate": {}},
        {"prov:patch:notice": {"attributes": ["active"]}, "prov:activate": {}},
        {"prov:delete": {}},
    ]
    assert {json.dumps(claims["sub_id"]) for claims in came} == {
        json.dumps({"format": "scim", "uri": path})
    }
    assert len({claims["jti"] for claims in came}) == len({c["txn"] for c in came}) == 6
    assert "lovelace" not in json.dumps(came)  # a notice holds nothing about a person


@pytest.mark.req("RFC9967")
def test_groups_tell_their_version_and_never_their_members(
    services: Services, directory: Directory
) -> None:
    ada = directory.user("ada")
    stream = make(directory, services)
    group = directory.group("staff", ada["id"])
    path = f"/Groups/{group['id']}"
    directory.patch(path, {"op": "remove", "path": f'members[value eq "{ada["id"]}"]'})
    directory.patch(path, {"op": "replace", "path": "displayName", "value": "all"},
                    {"op": "add", "path": "members", "value": [{"value": ada["id"]}]})  # fmt: skip
    etag = directory("GET", path).headers["ETag"]
    directory("DELETE", path)
    came = [what(claims) for claims in told(directory, stream)]
    assert came[0]["prov:create:notice"]["attributes"] == ["displayName", "members"]
    assert came[1]["prov:patch:notice"]["attributes"] == ["members"]
    assert came[2] == {
        "prov:patch:notice": {"version": etag, "attributes": ["displayName", "members"]}
    }
    assert came[3] == {"prov:delete": {}}


@pytest.mark.req("RFC9967")
def test_a_full_stream_has_the_document_and_the_external_id(
    services: Services, directory: Directory
) -> None:
    stream = make(directory, services, detail=Detail.FULL)
    user = directory.user("ada", externalId="e1", password="secret")
    directory.patch(f"/Users/{user['id']}", {"op": "add", "path": "title", "value": "Dr"})
    created, patched = told(directory, stream)
    assert created["sub_id"]["externalId"] == "e1"
    assert what(created) == {"prov:create:full": {"data": _without_version(user)}}
    now = directory("GET", f"/Users/{user['id']}").get_json(force=True)
    assert what(patched) == {"prov:patch:full": {"data": _without_version(now)}}
    assert "secret" not in json.dumps([created, patched])


@pytest.mark.req("RFC9967")
def test_a_group_is_never_shown_without_its_members(
    services: Services, directory: Directory
) -> None:
    ada = directory.user("ada")["id"]
    stream = make(directory, services, detail=Detail.FULL)
    group = directory.group("staff", ada, externalId="g1")
    path = f"/Groups/{group['id']}"
    directory.patch(path, {"op": "remove", "path": f'members[value eq "{ada}"]'})
    directory.patch(path, {"op": "replace", "path": "displayName", "value": "all"})
    etag = directory("GET", path).headers["ETag"]
    created, left, renamed = told(directory, stream)
    assert created["sub_id"]["externalId"] == "g1"
    names = what(created)["prov:create:notice"]["attributes"]
    assert names == ["displayName", "externalId", "members"]
    assert what(left)["prov:patch:notice"]["attributes"] == ["members"]
    assert what(renamed) == {"prov:patch:notice": {"version": etag, "attributes": ["displayName"]}}


@pytest.mark.req("RFC9967")
@pytest.mark.req("S5")
def test_a_full_event_shows_what_an_answer_does(services: Services, directory: Directory) -> None:
    hidden = {"id": "urn:example:hidden:2.0:User", "name": "Hidden", "attributes": [
        {"name": "asked", "returned": "request"},
        {"name": "badge", "type": "complex", "subAttributes": [
            {"name": "number"}, {"name": "pin", "returned": "never"},
            {"name": "note", "returned": "request"}]}]}  # fmt: skip
    stream = make(directory, services, detail=Detail.FULL)
    with adopted(hidden) as urn:
        badge = {"number": "7", "pin": "s3cret", "note": "s3cret"}
        both = directory.user("ada", **{urn: {"asked": "s3cret", "badge": badge}})
        none = directory.user("bob", **{urn: {"asked": "s3cret", "badge": {"pin": "s3cret"}}})
        came = told(directory, stream)
    assert both[urn] == {"badge": {"number": "7"}}
    assert none["schemas"] == [CORE_USER]
    assert [what(claims) for claims in came] == [
        {"prov:create:full": {"data": _without_version(user)}} for user in (both, none)
    ]
    assert "s3cret" not in json.dumps(came)


@contextlib.contextmanager
def adopted(document: dict[str, Any]) -> Iterator[str]:
    """Let users carry an extension for the block, as if an installation had added it."""
    schema = extensions.read(json.dumps(document).encode())
    USER.adopt([schema], frozenset())
    try:
        yield schema.urn
    finally:
        USER.adopt([], frozenset())


def test_of_who_was_deleted_nobody_hears_again(services: Services, directory: Directory) -> None:
    user = directory.user("ann")
    active_key(User.get())
    stream = make(directory, services, detail=Detail.FULL)
    assert directory("DELETE", f"/Users/{user['id']}").status_code == 204
    assert [list(each["events"]) for each in told(directory, stream)] == [[f"{PROV}delete"]]
    with transaction():
        assert people.finish_leavers(-1) == 1
    assert told(directory, stream) == []


def test_a_full_event_shows_what_the_transaction_has_left(
    services: Services, directory: Directory
) -> None:
    emails = [{"value": "ann@example.org", "primary": True}]
    user = directory.user("ann", emails=emails)
    with transaction():
        job = orders.queue_enrolment(
            station(services), pending_key(User.get()), services, audit.CLI
        )
        job.state = JobState.RUNNING
        jobs.tell(job, pin_setting=True)  # so that its end changes the key, which has its own user
    stream = make(directory, services, detail=Detail.FULL)
    change = {"op": "replace", "path": "active", "value": False}
    assert directory.patch(f"/Users/{user['id']}", change).status_code == 200
    shown = [
        event["data"]["active"]
        for claims in told(directory, stream)
        for event in claims["events"].values()
        if "data" in event
    ]
    assert shown
    assert not any(shown)


def _without_version(resource: dict[str, Any]) -> dict[str, Any]:
    return {**resource, "meta": {n: v for n, v in resource["meta"].items() if n != "version"}}


@pytest.mark.req("RFC9967")
def test_whoever_changes_a_resource_it_is_told(services: Services, directory: Directory) -> None:
    """The panel, the command line and the worker call the same verbs."""
    user = directory.user("ada")
    stream = make(directory, services)
    with transaction():
        row = people.get_user(user["id"])
        document = {**people.document_of(row), "active": False}
        people.replace_user(row, document, actor=audit.CLI)
    with transaction():
        people.reactivate(people.get_user(user["id"]), audit.CLI)
    with transaction():
        key = keys.draft(KeyKind.CONTACTLESS_CARD, "Card", "now", user=None, actor=audit.CLI)
        keys.assign(key, people.get_user(user["id"]), audit.CLI)
        keys.revoke(key, Reason.LOST, audit.CLI)
    came = [what(claims) for claims in told(directory, stream)]
    assert came == [
        {"prov:patch:notice": {"attributes": ["active"]}, "prov:deactivate": {}},
        {"prov:activate": {}},
        {"prov:patch:notice": {"attributes": [f"{KEYWRIGHT_USER}:securityKeys"]}},
    ]


@pytest.mark.req("RFC9967")
def test_a_mass_departure_taken_back_is_told(services: Services, directory: Directory) -> None:
    gone, inactive = directory.user("gone")["id"], directory.user("inactive")["id"]
    directory("DELETE", f"/Users/{gone}")
    directory.patch(f"/Users/{inactive}", {"op": "replace", "path": "active", "value": False})
    with transaction():
        held = MassDeparture.create(connection=directory.connection, started_at=0)
        User.update(departure=held).execute()
    stream = make(directory, services)
    brought_back(services, held)
    came = {c["sub_id"]["uri"]: what(c) for c in told(directory, stream)}
    active = {"prov:patch:notice": {"attributes": ["active"]}, "prov:activate": {}}
    assert came[f"/Users/{gone}"] == {**active, "feed:add": {}}
    assert came[f"/Users/{inactive}"] == active


@pytest.mark.req("RFC9967")
def test_a_resource_that_another_connection_gets_joins_and_leaves(
    app: Flask, services: Services, directory: Directory
) -> None:
    other = connect(app, "Other")
    mine, theirs = make(directory, services), make(other, services)
    directory.user("ada")
    told(directory, mine)
    body = {"schemas": [CORE_USER], "userName": "ada"}
    refused(other("POST", "/Users", body), 409, "uniqueness")
    app.extensions[RECORDER].flush()
    line = conflicts.get(Conflict.get().id, other.connection)
    with transaction():
        conflicts.hand_over(line, audit.CLI)
    assert [what(claims) for claims in told(directory, mine)] == [{"feed:remove": {}}]
    assert [what(claims) for claims in told(other, theirs)] == [{"feed:add": {}}]


@pytest.mark.req("RFC9967")
def test_a_stream_hears_of_its_own_connection_only(
    app: Flask, services: Services, directory: Directory
) -> None:
    other = connect(app, "Other")
    mine, theirs = make(directory, services), make(other, services)
    directory.user("ada")
    assert len(told(directory, mine)) == 1
    assert told(other, theirs) == []
    for stranger in (mine.resource_id, "nothing"):
        refused(other("POST", f"/Events/{stranger}", {}), 404)


@pytest.mark.req("RFC9967")
def test_what_is_rolled_back_is_not_told(services: Services, directory: Directory) -> None:
    stream = make(directory, services)
    with contextlib.suppress(RuntimeError), transaction():
        people.create_user(
            {"userName": "ada", "active": True}, connection=directory.connection, actor=audit.CLI
        )
        raise RuntimeError
    assert directory("POST", "/Users", {"schemas": [CORE_USER]}).status_code == 400
    directory.user("bob")
    refused(directory("POST", "/Users", {"schemas": [CORE_USER], "userName": "BOB"}), 409,
            "uniqueness")  # fmt: skip
    assert len(told(directory, stream)) == 1


@pytest.mark.req("RFC9967")
def test_one_transaction_is_one_event_for_each_resource(
    services: Services, directory: Directory
) -> None:
    stream = make(directory, services)
    answer = directory(
        "POST",
        "/Bulk",
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
            "Operations": [
                {"method": "POST", "path": "/Users", "bulkId": "a", "data": {
                    "schemas": [CORE_USER], "userName": "ada"}},
                {"method": "PATCH", "path": "/Users/bulkId:a", "data": {
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                    "Operations": [{"op": "add", "path": "title", "value": "Dr"}]}},
                {"method": "POST", "path": "/Users", "bulkId": "b", "data": {
                    "schemas": [CORE_USER], "userName": "bob"}},
                {"method": "DELETE", "path": "/Users/bulkId:b"},
            ],
        },
    )  # fmt: skip
    assert [o["status"] for o in answer.get_json(force=True)["Operations"]] == [
        "201", "200", "201", "204",
    ]  # fmt: skip
    (came,) = told(directory, stream)
    assert what(came) == {"prov:create:notice": {"attributes": ["active", "userName", "title"]}}


def test_without_a_stream_nothing_is_written_and_nothing_asked(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.user("warm")
    events._Heard.next_look = 1e12
    monkeypatch.setattr(events, "_HEARD", None)  # asking again would fail
    directory.user("ada")
    assert not StreamEvent.select().exists()
    events.forget()


@pytest.mark.req("RFC9967")
def test_the_configuration_tells_once_there_is_a_stream(
    services: Services, directory: Directory
) -> None:
    config = directory("GET", "/ServiceProviderConfig").get_json(force=True)
    assert "securityEvents" not in config
    make(directory, services)
    config = directory("GET", "/ServiceProviderConfig").get_json(force=True)
    assert config["securityEvents"]["eventUris"] == event_uris()
    assert set(event_uris()) == {
        *(f"{PROV}{verb}:{mode}" for verb in ("create", "patch", "put")
          for mode in ("notice", "full")),
        *(f"{PROV}{verb}" for verb in ("delete", "activate", "deactivate")),
        "urn:ietf:params:scim:event:feed:add",
        "urn:ietf:params:scim:event:feed:remove",
        "urn:ietf:params:scim:event:misc:asyncresp",
    }  # fmt: skip


def test_the_keys_are_public_and_apart_from_the_tickets(app: Flask, services: Services) -> None:
    answer = app.test_client().get("/scim/v2/jwks.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    (key,) = answer.get_json()["keys"]
    assert {name: key[name] for name in ("kty", "crv", "use", "alg")} == {
        "kty": "OKP",
        "crv": "Ed25519",
        "use": "sig",
        "alg": "EdDSA",
    }
    ticket = services.vault.signing_key.public_key().public_bytes_raw()
    assert jwt.PyJWK(key).key.public_bytes_raw() != ticket
    assert app.test_client().post("/scim/v2/jwks.json").status_code == 405


# --- push (RFC 8935) -------------------------------------------------------------------------


@pytest.fixture
def pushed(
    services: Services, directory: Directory, there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> EventStream:
    monkeypatch.setattr(
        "provisioning.event_streams.streams.FIRST_WAIT", 0
    )  # a rest that is over at once
    return make(
        directory,
        services,
        method=Method.PUSH,
        endpoint=there.url,
        authorization="Bearer receiver-secret",
    )


def local(services: Services) -> Services:
    return Services(services.settings.model_copy(update={"local_receivers": True}), services.vault)


@pytest.mark.req("RFC9967")
def test_the_worker_pushes_in_order(
    services: Services, directory: Directory, pushed: EventStream, there: Receiver
) -> None:
    for name in ("a", "b", "c"):
        directory.user(name)
    assert deliveries.work(local(services)) == 3
    assert deliveries.work(local(services)) == 0
    headers, _ = there.got[0]
    assert headers["Content-Type"] == "application/secevent+jwt"
    assert headers["Accept"] == "application/json"
    assert headers["Authorization"] == "Bearer receiver-secret"
    came = [verified(directory.app, body) for body in there.bodies]
    ids = [row.resource_id for row in User.select().order_by(User.id)]
    assert [claims["sub_id"]["uri"] for claims in came] == [f"/Users/{i}" for i in ids]
    row = EventStream.get()
    assert (row.delivered, row.failures, row.leased_until) == (3, 0, None)
    assert not StreamEvent.select().exists()
    assert b"receiver-secret" not in bytes(row.sealed_authorization)


@pytest.mark.req("RFC9967")
@pytest.mark.parametrize("answer", [(500, b""), (429, b""), (401, b""), (404, b"x"), (302, b"")])
def test_a_receiver_that_fails_is_tried_again_with_the_same_token(
    services: Services,
    directory: Directory,
    pushed: EventStream,
    there: Receiver,
    answer: tuple[int, bytes],
) -> None:
    there.answers = [answer, (202, b"")]
    directory.user("ada")
    assert deliveries.work(local(services)) == 0
    row = EventStream.get()
    assert (row.failures, str(answer[0]) in row.last_error) == (1, True)
    assert deliveries.work(local(services)) == 1
    first, second = (verified(directory.app, body) for body in there.bodies)
    assert first["jti"] == second["jti"]
    assert EventStream.get().failures == 0


@pytest.mark.req("RFC9967")
def test_an_event_that_the_receiver_refuses_is_dead_and_the_next_goes_out(
    services: Services, directory: Directory, pushed: EventStream, there: Receiver
) -> None:
    there.answers = [(400, b'{"err":"invalid_request","description":"no"}'), (202, b"")]
    directory.user("a")
    directory.user("b")
    deliveries.work(local(services))
    assert len(there.got) == 2
    dead = StreamEvent.get()
    assert (dead.state, dead.last_error) == (EventState.DEAD, "400 invalid_request")
    assert AuditEvent.select().where(AuditEvent.event == "stream.event_dead").count() == 1
    with transaction():
        assert streams.retry(EventStream.get(), audit.CLI) == 1
    assert deliveries.work(local(services)) == 1


def test_a_stream_that_this_program_chokes_on_rests_so_that_others_go_on(
    services: Services, directory: Directory, pushed: EventStream, there: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def broken(*_given: object) -> deliveries.Token:
        raise KeyError("secret")

    directory.user("a")
    monkeypatch.setattr(deliveries, "_writers", [broken])
    with pytest.raises(KeyError):
        deliveries.work(services)
    row = EventStream.get()
    assert (row.leased_until, row.failures) == (None, 1)
    assert row.last_error == "A fault in this program: KeyError."


@pytest.mark.req("RFC9967")
@pytest.mark.parametrize("status", [400, 404, 410, 413, 422])
def test_ten_refusals_of_an_event_are_enough(
    services: Services, directory: Directory, pushed: EventStream, there: Receiver, status: int
) -> None:
    there.answers = [(status, b"")]
    directory.user("a")
    for _ in range(12):
        deliveries.work(local(services))
    assert len(there.got) == streams.MAX_ATTEMPTS
    assert StreamEvent.get().state == EventState.DEAD


@pytest.mark.req("RFC9967")
@pytest.mark.parametrize(
    "answer",
    [
        *((status, b"") for status in (302, 401, 403, 408, 425, 429, 500, 503)),
        (400, b'{"err":"authentication_failed"}'),
        (400, b'{"err":"access_denied"}'),
    ],
)
def test_a_receiver_that_does_not_take_anything_kills_no_event(
    services: Services,
    directory: Directory,
    pushed: EventStream,
    there: Receiver,
    answer: tuple[int, bytes],
) -> None:
    there.answers = [answer]
    directory.user("a")
    for _ in range(12):
        assert deliveries.work(local(services)) == 0
    event = StreamEvent.get()
    assert (event.state, event.attempts, EventStream.get().failures) == (EventState.WAITING, 0, 12)
    there.answers = [(202, b"")]
    assert deliveries.work(local(services)) == 1


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("86400", 3600),
        ("Fri, 16 Jun 2034 12:02:00 GMT", 120),
        ("Fri, 16 Jun 2034 11:00:00 GMT", 0),
        ("9" * 5_000, 0),
        ("soon", 0),
    ],
)
def test_a_receiver_is_left_alone_for_as_long_as_it_asks(
    services: Services, directory: Directory, pushed: EventStream, there: Receiver,
    monkeypatch: pytest.MonkeyPatch, asked: str, seconds: int,
) -> None:  # fmt: skip
    now = int(datetime(2034, 6, 16, 12, tzinfo=UTC).timestamp() * 1000)
    monkeypatch.setattr(receivers, "now_ms", lambda: now)
    monkeypatch.setattr(streams, "now_ms", lambda: now)
    there.answers, there.headers = [(503, b"")], {"Retry-After": asked}
    directory.user("a")
    assert deliveries.work(local(services)) == 0
    assert EventStream.get().due_at == now + seconds * 1000


@pytest.mark.req("RFC9967")
def test_a_receiver_that_is_away_kills_no_event(
    services: Services, directory: Directory, pushed: EventStream, there: Receiver
) -> None:
    EventStream.update(endpoint="http://127.0.0.1:9/").execute()
    directory.user("a")
    for _ in range(12):
        assert deliveries.work(local(services)) == 0
    event = StreamEvent.get()
    assert (event.state, event.attempts) == (EventState.WAITING, 0)
    assert EventStream.get().failures == 12
    EventStream.update(endpoint=there.url).execute()
    assert deliveries.work(local(services)) == 1


def test_a_slow_receiver_gives_the_turn_to_others(
    services: Services, directory: Directory, pushed: EventStream, there: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(deliveries, "BUDGET", 0.0)
    directory.user("a")
    directory.user("b")
    assert [deliveries.work(local(services)) for _ in range(3)] == [1, 1, 0]


def test_a_stream_rests_longer_after_each_failure(
    services: Services, directory: Directory, there: Receiver
) -> None:
    make(directory, services, method=Method.PUSH, endpoint=there.url)
    there.answers = [(500, b"")]
    directory.user("a")
    deliveries.work(local(services))
    assert deliveries.work(local(services)) == 0
    assert len(there.got) == 1
    waits = []
    for failures in range(20):
        EventStream.update(failures=failures).execute()
        with transaction():
            streams.release(EventStream.get(), error="x")
        waits.append(EventStream.get().due_at)
    assert waits == sorted(waits)
    assert waits[-1] - waits[0] <= streams.LONGEST_WAIT + 60_000


@pytest.mark.req("R29")
def test_an_address_that_leads_home_is_refused_and_audited_once(
    services: Services, directory: Directory, pushed: EventStream, there: Receiver
) -> None:
    directory.user("a")
    for _ in range(3):
        assert deliveries.work(services) == 0  # without the setting for trials
    assert there.got == []
    assert AuditEvent.select().where(AuditEvent.event == "stream.refused").count() == 1
    assert "https://" in EventStream.get().last_error


def test_a_worker_that_dies_leaves_its_lease_behind_and_no_event_is_lost(
    services: Services, directory: Directory, pushed: EventStream, there: Receiver
) -> None:
    directory.user("a")
    with transaction():
        claimed = streams.claim(streams.now_ms())
    assert claimed is not None
    assert deliveries.work(local(services)) == 0
    EventStream.update(leased_until=1).execute()
    assert deliveries.work(local(services)) == 1


def test_a_stopped_stream_is_told_nothing(
    services: Services, directory: Directory, pushed: EventStream, there: Receiver
) -> None:
    with transaction():
        streams.set_state(pushed, StreamState.STOPPED, audit.CLI)
    directory.user("a")
    assert not StreamEvent.select().exists()
    with pytest.raises(WrongState), transaction():
        streams.set_state(pushed, StreamState.STOPPED, audit.CLI)
    with transaction():
        streams.set_state(pushed, StreamState.ACTIVE, audit.CLI)
    directory.user("b")
    assert deliveries.work(local(services)) == 1


def test_events_that_nobody_comes_for_are_forgotten(
    services: Services, directory: Directory
) -> None:
    make(directory, services)
    directory.user("a")
    StreamEvent.update(at=1).execute()
    directory.user("b")
    with transaction():
        assert streams.forget_old() == 1
    assert StreamEvent.select().count() == 1
    assert "too old" in AuditEvent.get(AuditEvent.event == "stream.event_dead").detail


def test_too_many_events_lose_the_oldest(
    services: Services, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_WAITING", 2)
    stream = make(directory, services)
    for name in "abcd":
        directory.user(name)
    with transaction():
        assert streams.forget_old() == 2
        assert streams.forget_old() == 0
    left = [claims["sub_id"]["uri"] for claims in told(directory, stream)]
    assert left == [f"/Users/{row.resource_id}" for row in User.select().order_by(User.id)][2:]
    assert "too many" in AuditEvent.get(AuditEvent.event == "stream.event_dead").detail


# --- poll (RFC 8936) -------------------------------------------------------------------------


@pytest.mark.req("RFC9967")
def test_events_are_given_until_they_are_acknowledged(
    services: Services, directory: Directory
) -> None:
    stream = make(directory, services)
    for name in ("a", "b", "c"):
        directory.user(name)
    path = f"/Events/{stream.resource_id}"

    def poll(**body: object) -> dict[str, Any]:
        return dict(directory("POST", path, {"returnImmediately": True, **body}).get_json())

    first = poll(maxEvents=2)
    assert (len(first["sets"]), first["moreAvailable"]) == (2, True)
    assert list(poll(maxEvents=2)["sets"]) == list(first["sets"])
    rest = poll(ack=list(first["sets"]))
    assert (len(rest["sets"]), rest["moreAvailable"]) == (1, False)
    assert poll(maxEvents=0) == {"sets": {}, "moreAvailable": True}
    (last,) = rest["sets"]
    after = poll(setErrs={last: {"err": "invalid_key", "description": "no"}, "other": {}})
    assert after == {"sets": {}, "moreAvailable": False}
    dead = StreamEvent.get()
    assert (dead.state, dead.last_error) == (EventState.DEAD, "invalid_key")
    assert EventStream.get().delivered == 2


@pytest.mark.req("RFC9967")
@pytest.mark.parametrize(
    "body",
    [
        {"maxEvents": -1},
        {"maxEvents": "all"},
        {"maxEvents": True},
        {"returnImmediately": "yes"},
        {"ack": "x"},
        {"ack": [1]},
        {"setErrs": []},
        {"ack": ["x"] * 1001},
    ],
)
def test_a_poll_that_is_none(
    services: Services, directory: Directory, body: dict[str, object]
) -> None:
    stream = make(directory, services)
    refused(directory("POST", f"/Events/{stream.resource_id}", body), 400, "invalidValue")


@pytest.mark.req("RFC9967")
def test_a_poll_waits_for_an_event_and_not_for_ever(
    services: Services, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = make(directory, services)
    monkeypatch.setattr("scim.polling.WAIT", 0.05)
    monkeypatch.setattr("scim.polling.PAUSE", 0.01)
    path = f"/Events/{stream.resource_id}"
    assert directory("POST", path, {}).get_json() == {"sets": {}, "moreAvailable": False}
    slept = []

    def sleep(seconds: float) -> None:
        if not slept:
            directory.user("ada")
        slept.append(seconds)

    monkeypatch.setattr("scim.polling.sleep", sleep)
    assert len(directory("POST", path, {}).get_json()["sets"]) == 1
    assert slept == [0.01]


@pytest.mark.req("R2", "RFC9967")
@pytest.mark.parametrize(("ends", "status"), [("stream", 409), ("token", 401), ("both", 401)])
def test_a_poll_hands_out_nothing_when_its_stream_or_token_ended_while_it_waited(
    services: Services,
    directory: Directory,
    ends: str,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = make(directory, services)

    def sleep(_seconds: float) -> None:
        directory.user("ada")
        with transaction():
            if ends != "token":
                streams.set_state(stream, StreamState.STOPPED, audit.CLI)
            if ends != "stream":
                tokens.revoke(directory.token.split("_")[1], audit.CLI)

    monkeypatch.setattr("scim.polling.sleep", sleep)
    answer = directory("POST", f"/Events/{stream.resource_id}", {})
    refused(answer, status)
    assert streams.waiting(stream) == 1


@pytest.mark.req("R2")
def test_what_is_acknowledged_is_kept_if_the_token_ends_before_its_turn_comes(
    services: Services, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = make(directory, services)
    directory.user("ada")
    (event,) = StreamEvent.select()

    def turn() -> AbstractContextManager[None]:
        with transaction():
            tokens.revoke(directory.token.split("_")[1], audit.CLI)
        return transaction()

    monkeypatch.setattr("scim.polling.transaction", turn)
    answer = directory("POST", f"/Events/{stream.resource_id}", {"ack": [event.jti]})
    refused(answer, 401)
    assert streams.waiting(stream) == 1


def test_a_poll_without_a_place_is_answered_at_once(
    services: Services, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = make(directory, services)
    monkeypatch.setattr("scim.polling.sleep", lambda _: pytest.fail("it waited"))
    door = open_door(BASE, services, Waits(1, lambda: False))
    caller = make_caller(directory.connection, door)
    assert door.waits is not None
    with door.waits.place() as mine, door.waits.place() as another:
        assert (mine, another) == (True, False)
        assert polling.answer(caller, stream.resource_id, {})["sets"] == {}


def test_a_process_that_ends_lets_its_polls_go(
    services: Services, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = make(directory, services)
    monkeypatch.setattr("scim.polling.sleep", lambda _: pytest.fail("it waited"))
    caller = make_caller(directory.connection, open_door(BASE, services, Waits(1, lambda: True)))
    assert polling.answer(caller, stream.resource_id, {})["sets"] == {}


def test_a_push_stream_is_not_polled(
    services: Services, directory: Directory, there: Receiver
) -> None:
    stream = make(directory, services, method=Method.PUSH, endpoint=there.url)
    refused(directory("POST", f"/Events/{stream.resource_id}", {}), 404)
    refused(directory("GET", f"/Events/{stream.resource_id}"), 405)


# --- streams ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"method": Method.PUSH, "endpoint": "http://example.com/"}, "endpoint"),
        ({"method": Method.PUSH}, "endpoint"),
        ({"method": Method.POLL, "endpoint": "https://example.com/"}, "endpoint"),
        ({"method": Method.POLL, "authorization": "x"}, "endpoint"),
        ({"audience": "x" * 256}, "audience"),
        (
            {"method": Method.PUSH, "endpoint": "https://e.com/", "authorization": "a\r\nX: b"},
            "authorization",
        ),
    ],
)
def test_a_stream_that_cannot_be(
    services: Services, directory: Directory, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidValue) as error:
        make(directory, services, **given)
    assert error.value.field == field
    assert not EventStream.select().exists()


def test_a_connection_has_ten_streams_at_most(services: Services, directory: Directory) -> None:
    for _ in range(streams.MAX_STREAMS):
        make(directory, services)
    with pytest.raises(WrongState):
        make(directory, services)


def test_the_shell_makes_lists_and_ends_streams(
    services: Services, directory: Directory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cli_streams, "open_installation", lambda data: local(services))

    def shell(*arguments: str) -> Any:
        data = ["--data", str(services.settings.data)]
        return CliRunner().invoke(main, ["stream", *arguments, *data])

    assert "No streams" in shell("list").output
    secret = tmp_path / "secret"
    secret.write_text("Bearer s3cret\n")
    name = ("add", "--connection", "Contoso")
    made = shell(*name, "--push", "http://localhost:1/", "--authorization-file", str(secret))
    assert made.exit_code == 0, made.output
    polled = shell(*name, "--poll", "--detail", "full", "--audience", "me")
    assert "/scim/v2/Events/" in polled.output
    listed = shell("list").output
    assert "s3cret" not in made.output + listed
    assert listed.count("Contoso") == 2
    secret.write_bytes("Bearer geheim\u00fc".encode("latin-1"))
    refusal = shell(*name, "--push", "http://localhost:1/", "--authorization-file", str(secret))
    assert refusal.exit_code == 1
    assert refusal.output == "Error: The authorization is one line of plain characters.\n"
    for arguments in (name, (*name, "--poll", "--push", "https://example.com/")):
        assert shell(*arguments).exit_code == 1
    assert shell("add", "--connection", "Nobody", "--poll").exit_code == 1
    assert "https://" in shell(*name, "--push", "http://example.com/").output
    stream = EventStream.select().first().resource_id
    for command in ("stop", "start", "retry", "remove"):
        result = shell(command, stream)
        assert result.exit_code == 0, result.output
    assert shell("remove", stream).exit_code == 1
    told = AuditEvent.select().where(AuditEvent.event.startswith("stream."))
    assert [row.event for row in told.order_by(AuditEvent.id)] == [
        "stream.created",
        "stream.created",
        "stream.changed",
        "stream.changed",
        "stream.changed",
        "stream.removed",
    ]
    with pytest.raises(NotFound):
        streams.get(stream)


def test_a_deleted_connection_takes_its_streams_along(
    services: Services, directory: Directory
) -> None:
    make(directory, services)
    directory.user("a")
    assert StreamEvent.select().count() == 1
    EventStream.delete().execute()
    assert StreamEvent.select().count() == 0


def test_every_kind_has_a_name_on_the_wire() -> None:
    assert set(security_events._NAMES) == set(Kind)
