# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Bulk requests that nobody waits for: put down, carried out once, told by event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from peewee import OperationalError
from werkzeug.test import TestResponse

from provisioning import audit, tasks
from provisioning import directory as people
from provisioning.event_streams import events, streams
from provisioning.models import (
    Conflict,
    Connection,
    DeferredRequest,
    EventStream,
    StreamEvent,
    Task,
    Token,
    User,
)
from provisioning.services import Services
from provisioning.storage.db import transaction
from scim import deferred
from tests.scim.pushing import PATCH_OP, USER, Directory, connect
from tests.scim.test_routes import refused
from tests.scim.test_security_events import make, told, verified, what
from tests.scim.test_terms import choose

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    yield
    events.forget()


@pytest.fixture
def stream(services: Services, directory: Directory) -> EventStream:
    return make(directory, services)


def post(name: str, bulk_id: str | None = None, **more: object) -> dict[str, object]:
    data = {"schemas": [USER], "userName": name, **more}
    return {"method": "POST", "path": "/Users", "bulkId": bulk_id or name, "data": data}


def send(directory: Directory, *operations: object, **more: Any) -> TestResponse:
    body = {"schemas": [BULK], "Operations": list(operations), **more}
    return directory("POST", "/Bulk", body, Prefer="wait=5, Respond-Async; foo")


def answers(directory: Directory, stream: EventStream) -> dict[str, dict[str, Any]]:
    """Return what `misc:asyncresp` says, by txn."""
    return {
        claims["txn"]: {**what(claims)["misc:asyncresp"], "uri": claims["sub_id"]["uri"]}
        for claims in told(directory, stream)
        if "misc:asyncresp" in what(claims)
    }


@pytest.mark.req("RFC9967")
def test_a_request_is_accepted_done_later_and_each_operation_told(
    services: Services, directory: Directory, stream: EventStream
) -> None:
    old = directory.user("old")
    told(directory, stream)
    path = f"/Users/{old['id']}"
    answer = send(
        directory,
        post("ada", password="t0p"),
        {"method": "PATCH", "path": path, "data": {"schemas": [PATCH_OP], "Operations": [
            {"op": "add", "path": "title", "value": "Dr"}]}},
        post("OLD"),
        {"method": "DELETE", "path": path},
    )  # fmt: skip
    assert (answer.status_code, answer.data) == (202, b"")
    assert (answer.headers["Content-Length"], "Content-Type" in answer.headers) == ("0", False)
    txn = answer.headers["Set-Txn"]
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert answer.headers["Location"].endswith(f"/scim/v2/Bulk/{txn}")
    assert User.select().count() == 1
    assert b"t0p" not in bytes(DeferredRequest.get().sealed_body)
    waiting = directory("GET", f"/Bulk/{txn}")
    assert (waiting.status_code, waiting.headers["Retry-After"]) == (202, "5")

    assert tasks.work(services) == 1
    ada = User.get(User.user_name == "ada").resource_id
    came = answers(directory, stream)
    assert {n.removeprefix(f"{txn}:"): (e["method"], e["status"]) for n, e in came.items()} == {
        "0": ("POST", "201"),
        "1": ("PATCH", "200"),
        "2": ("POST", "409"),
        "3": ("DELETE", "204"),
    }
    assert came[f"{txn}:0"]["uri"] == f"/Users/{ada}"
    assert came[f"{txn}:0"]["bulkId"] == "ada"
    assert came[f"{txn}:2"]["response"]["scimType"] == "uniqueness"
    assert came[f"{txn}:3"]["uri"] == path
    row = DeferredRequest.get()
    assert row.sealed_body is None
    assert Task.get().state == "done"


@pytest.mark.req("RFC9967")
def test_a_request_done_later_changes_who_is_there_as_one_that_is_waited_for(
    services: Services, directory: Directory, stream: EventStream
) -> None:
    choose(directory, merges_bulk=True)
    ada = directory.user("ada", externalId="1")
    told(directory, stream)
    txn = send(directory, post("ada", externalId="1", active=False)).headers["Set-Txn"]
    assert tasks.work(services) == 1
    came = answers(directory, stream)[f"{txn}:0"]
    assert (came["method"], came["status"], came["uri"]) == ("POST", "200", f"/Users/{ada['id']}")
    assert not User.get().active


@pytest.mark.req("RFC9967")
def test_the_outcome_can_be_fetched_where_the_location_says(
    services: Services, directory: Directory, stream: EventStream
) -> None:
    txn = send(directory, post("ada"), post("bob")).headers["Set-Txn"]
    tasks.work(services)
    answer = directory("GET", f"/Bulk/{txn}")
    sets = answer.get_json()["sets"]
    came = [verified(directory.app, token, "Contoso") for token in sets.values()]
    assert [claims["txn"] for claims in came] == [f"{txn}:0", f"{txn}:1"]
    assert [what(claims)["misc:asyncresp"]["status"] for claims in came] == ["201", "201"]
    assert list(directory("GET", f"/Bulk/{txn}").get_json()["sets"]) == list(sets)
    refused(connect(directory.app, "Other")("GET", f"/Bulk/{txn}"), 404)
    refused(directory("GET", "/Bulk/nothing"), 404)
    refused(directory("POST", f"/Bulk/{txn}", {}), 405)
    DeferredRequest.update(finished_at=1).execute()
    with transaction():
        assert deferred.forget_old() == 1
    refused(directory("GET", f"/Bulk/{txn}"), 404)


@pytest.mark.req("RFC9967")
def test_what_failed_on_errors_left_out_is_told_too(
    services: Services, directory: Directory, stream: EventStream
) -> None:
    directory.user("ada")
    told(directory, stream)
    txn = send(directory, post("ADA"), post("bob"), failOnErrors=1).headers["Set-Txn"]
    tasks.work(services)
    came = answers(directory, stream)
    assert [came[f"{txn}:{n}"]["status"] for n in (0, 1)] == ["409", "409"]
    assert "failOnErrors" in came[f"{txn}:1"]["response"]["detail"]
    assert came[f"{txn}:0"]["uri"] == "/"
    assert User.select().count() == 1


@pytest.mark.req("RFC9967")
def test_a_worker_that_dies_does_nothing_twice(
    services: Services, directory: Directory, stream: EventStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the work and before the commit; the next worker does all of it, once."""
    txn = send(directory, post("ada"), post("bob")).headers["Set-Txn"]
    with monkeypatch.context() as patch:
        patch.setattr(tasks.Task, "save", _power_cut)
        with pytest.raises(OperationalError):
            tasks.work(services)
    assert (User.select().count(), StreamEvent.select().count()) == (0, 0)
    while tasks.work(services):
        pass
    assert User.select().count() == 2
    assert set(answers(directory, stream)) == {f"{txn}:0", f"{txn}:1"}


def _power_cut(*_: object, **__: object) -> None:
    raise OperationalError("disk I/O error")


@pytest.mark.req("RFC9967")
def test_a_request_that_cannot_run_is_told_so(
    services: Services, directory: Directory, stream: EventStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = send(directory, post("ada")).headers["Set-Txn"]
    second = send(directory, post("bob")).headers["Set-Txn"]
    third = send(directory, post("cy")).headers["Set-Txn"]
    with transaction():
        tasks.cancel(Task.get(Task.id == 2), audit.CLI)
    with monkeypatch.context() as patch:
        patch.setattr(deferred.bulk, "carry_out", _fault)
        while tasks.work(services):
            pass
    came = answers(directory, stream)
    assert {name: each["status"] for name, each in came.items()} == {
        f"{txn}:0": "409" for txn in (first, second, third)
    }
    assert "stopped" in came[f"{second}:0"]["response"]["detail"]
    assert not User.select().exists()


def _fault(*_: object) -> None:
    raise RuntimeError


@pytest.mark.req("RFC9967")
def test_a_retired_directorys_request_is_not_carried_out(
    services: Services, directory: Directory, stream: EventStream
) -> None:
    send(directory, post("ada"))
    Connection.update(retired_at=1).execute()
    tasks.work(services)
    assert not User.select().exists()
    assert "retired" in (DeferredRequest.get().outcomes or "")


@pytest.mark.req("RFC9967")
@pytest.mark.parametrize("change", [{"revoked_at": 1}, {"expires_at": 1}], ids=str)
def test_a_request_is_not_carried_out_once_its_token_works_no_more(
    services: Services, directory: Directory, stream: EventStream, change: dict[str, int]
) -> None:
    send(directory, post("ada"))
    Token.update(change).execute()
    tasks.work(services)
    assert not User.select().exists()
    assert "works no more" in (DeferredRequest.get().outcomes or "")


@pytest.mark.req("RFC9967")
def test_what_is_wrong_with_the_whole_is_said_at_once(
    directory: Directory, stream: EventStream
) -> None:
    refused(send(directory), 400, "invalidSyntax")
    refused(send(directory, *[post(f"u{n}") for n in range(deferred.bulk.MAX_OPERATIONS + 1)]), 413)
    refused(send(directory, post("a"), failOnErrors="x"), 400, "invalidValue")
    assert not DeferredRequest.select().exists()


@pytest.mark.req("RFC9967")
def test_a_directory_has_so_many_waiting_and_no_more(
    app: Any, services: Services, directory: Directory, stream: EventStream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(deferred, "MOST_WAITING", 2)
    for number in range(2):
        assert send(directory, post(f"u{number}")).status_code == 202
    busy = send(directory, post("u3"))
    refused(busy, 429)
    assert int(busy.headers["Retry-After"]) > 0
    other = connect(app, "Other")
    make(other, services)
    assert send(other, post("u4")).status_code == 202


@pytest.mark.req("RFC9967")
def test_without_a_stream_the_answer_comes_at_once(directory: Directory) -> None:
    answer = send(directory, post("ada"))
    assert answer.status_code == 200
    assert "Preference-Applied" not in answer.headers
    assert not DeferredRequest.select().exists()


@pytest.mark.req("RFC9967")
@pytest.mark.parametrize("prefer", ["", "return=minimal", "wait=5", "respond-asynchronously"])
def test_who_does_not_ask_for_it_waits(
    directory: Directory, stream: EventStream, prefer: str
) -> None:
    body = {"schemas": [BULK], "Operations": [post("ada")]}
    assert directory("POST", "/Bulk", body, Prefer=prefer).status_code == 200


@pytest.mark.req("RFC9967")
def test_the_configuration_says_so(directory: Directory, stream: EventStream) -> None:
    config = directory("GET", "/ServiceProviderConfig").get_json(force=True)
    assert config["securityEvents"]["asyncRequest"] == "request"


def test_names_that_others_hold_are_conflicts_here_too(
    app: Any, services: Services, directory: Directory, stream: EventStream
) -> None:
    connect(app, "Other").user("ada")
    send(directory, post("Ada"))
    tasks.work(services)
    assert Conflict.get().connection_id == directory.connection.id


def test_what_a_request_changed_is_told_before_its_outcome(
    services: Services, directory: Directory, stream: EventStream
) -> None:
    send(directory, post("ada"))
    tasks.work(services)
    kinds = [next(iter(what(claims))) for claims in told(directory, stream)]
    assert kinds == ["prov:create:notice", "misc:asyncresp"]


def test_the_audit_log_names_the_directory(
    services: Services, directory: Directory, stream: EventStream
) -> None:
    send(directory, post("ada"))
    tasks.work(services)
    row = audit.AuditEvent.get(audit.AuditEvent.event == "user.created")
    assert (row.actor_kind, row.actor_name) == ("connection", "Contoso")
    assert people.is_taken("ADA")
    assert streams.waiting(stream) == 2
