# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What a request leaves behind for the panel: enough to find a fault, and nobody's data."""

from __future__ import annotations

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from provisioning.audit import CLI
from provisioning.clock import HOUR, now_ms
from provisioning.models import Connection, QuirkUse, RequestHour, RequestTrace, Token
from provisioning.storage.db import database, transaction
from provisioning.storage.recorder import EXTENSION, Recorder
from provisioning.upstream import connections, tokens
from scim import tracing
from scim.resource_types import ENTERPRISE_USER
from tests.scim.pushing import USER, Directory, connect

ID = "01c81480-9370-40a4-a969-b543a70d20ca"


def traces(app: Flask) -> list[RequestTrace]:
    """What is in the table once the recorder has written."""
    app.extensions[EXTENSION].flush()
    return list(RequestTrace.select().order_by(RequestTrace.id))


@pytest.mark.parametrize(
    ("path", "query", "told"),
    [
        ("/Users", "", "/Users"),
        ("/Users/", "", "/Users/"),
        ("", "", "/"),
        (f"/Users/{ID}", "", f"/Users/{ID}"),
        ("/Users/ada@example.org", "", "/Users/…"),
        ("/Ada/Lovelace", "", "/…/…"),
        ("/Schemas/" + USER, "", "/Schemas/" + USER),
        ("/Users", "filter=userName%20eq%20%22ada%22", "/Users?filter=userName eq …"),
        ("/Users", "filter=userName+eq+ada", "/Users?filter=userName eq …"),
        ("/Users", 'filter=userName eq "a\\" or title eq \\"b"', "/Users?filter=userName eq …"),
        ("/Users", 'filter=userName eq "ada', "/Users?filter=userName eq …"),
        (
            "/Users",
            'filter=emails[type eq "work"].value eq "a@b.c" and not (active eq true)',
            "/Users?filter=emails[type eq …].value eq … and not(active eq true)",
        ),
        (
            "/Users",
            f"filter={ENTERPRISE_USER}:department pr",
            f"/Users?filter={ENTERPRISE_USER}:department pr",
        ),
        ("/Users", "startIndex=1&count=100", "/Users?startIndex=1&count=100"),
        ("/Users", "startIndex=Ada&count=", "/Users?startIndex=…&count=…"),
        ("/Users", "attributes=userName,ada", "/Users?attributes=userName, …"),
        ("/Users", "sortBy=name.givenName&sortOrder=descending", None),
        ("/Users", "sortOrder=Ada", "/Users?sortOrder=…"),
        ("/Users", "access_token=secret&Ada=1", "/Users?…&…"),
    ],
)
def test_an_address_is_told_without_what_it_holds(path: str, query: str, told: str | None) -> None:
    assert tracing.shown("/scim/v2" + path, query) == (told or f"{path}?{query}")


@given(st.text(), st.text())
def test_nothing_that_is_sent_makes_a_long_address(path: str, query: str) -> None:
    told = tracing.shown("/scim/v2/" + path, query)
    assert len(told) <= tracing.LONGEST


@given(st.text(st.characters(whitelist_categories=("Lu", "Ll", "Nd")), min_size=1))
def test_no_value_of_a_filter_is_told(name: str) -> None:
    for value in (f'"q{name}7"', f"q{name}7", f'"q{name}7'):
        assert tracing.shown("/scim/v2/Users", f"filter=userName eq {value}") == (
            "/Users?filter=userName eq …"
        )


def test_a_look_up_by_name_leaves_no_name_in_the_table(app: Flask, directory: Directory) -> None:
    directory.user("ada.lovelace", displayName="Ada Lovelace", emails=[{"value": "ada@ex.org"}])
    for filter_ in (
        'userName eq "ada.lovelace"',
        'emails[type eq "work"].value eq "ada@ex.org"',
        'userName eq "ada.lovelace',
        "userName eq ada.lovelace",
    ):
        directory("GET", f"/Users?filter={filter_}")
        directory("POST", "/Users/.search", {"filter": filter_})
    directory("GET", "/Users/ada.lovelace")
    directory("GET", "/Users?ada.lovelace=ada@ex.org")
    assert len(traces(app)) == 11
    columns = "token, method, path, scim_type, quirks"
    held = database.execute_sql(f"SELECT {columns} FROM request_trace").fetchall()
    assert "ada" not in str(held).lower()
    assert "lovelace" not in str(held).lower()


def test_a_request_is_told_with_its_outcome(app: Flask, directory: Directory) -> None:
    user = directory.user("ada", active="True")
    directory("GET", '/Users?filter=shoeSize eq "42"')
    first, second = traces(app)
    assert (first.method, first.path, first.status) == ("POST", "/Users", 201)
    assert first.quirks == "boolean_strings"
    assert first.token == directory.token.split("_")[1]
    assert 0 < first.micros < 10_000_000
    assert abs(first.at - now_ms()) < 60_000
    assert (second.status, second.scim_type) == (400, "invalidFilter")
    assert second.path == "/Users?filter=… eq …"
    assert user["id"] not in first.path


def test_a_bulk_request_tells_how_many_of_its_operations_failed(
    app: Flask, directory: Directory
) -> None:
    urn = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": str(place), "data": {"userName": name}}
        for place, name in enumerate(("ada", "ada", "bob", "", "carl"))
    ]
    for some in (operations[:4], operations[4:]):
        answer = directory("POST", "/Bulk", {"schemas": [urn], "Operations": some})
        assert answer.status_code == 200
    told = [(row.status, row.scim_type) for row in traces(app)]
    assert told == [(200, "failed=2"), (200, None)]


def test_a_token_that_lets_nobody_in_is_told_to_whose_it_was(
    app: Flask, directory: Directory
) -> None:
    with transaction():
        tokens.revoke(directory.token.split("_")[1], CLI)
    assert directory("GET", "/Users").status_code == 401
    found = traces(app)
    assert [(row.status, row.connection_id) for row in found] == [(401, directory.connection.id)]
    assert Connection.get().last_seen_at is None
    assert directory.token.split("_")[2] not in str(vars(found[0]))


def test_a_stranger_leaves_nothing(app: Flask, directory: Directory) -> None:
    for token in ("kw_0123456789abcdef_secret", "ada", ""):
        Directory(app, directory.connection, token)("GET", "/Users")
    assert traces(app) == []


def test_another_host_is_told_to_whose_token_it_was(app: Flask, directory: Directory) -> None:
    answer = directory("GET", "/Users", Host="keys.example.net")
    assert answer.status_code == 400
    assert [row.status for row in traces(app)] == [400]


def test_a_connection_and_its_token_are_seen(app: Flask, directory: Directory) -> None:
    directory("GET", "/Users")
    assert Connection.get().last_seen_at is None
    traces(app)
    assert Connection.get().last_seen_at is not None
    assert Token.get().last_used_at == Connection.get().last_seen_at
    Connection.update(last_seen_at=now_ms() + HOUR).execute()
    directory("GET", "/Users")
    traces(app)
    assert Connection.get().last_seen_at > now_ms()  # what is newer stays


def test_requests_and_errors_are_counted_by_the_hour(app: Flask, directory: Directory) -> None:
    for _ in range(3):
        directory("GET", "/Users")
    traces(app)
    directory("GET", "/Nowhere")
    traces(app)
    rows = list(RequestHour.select())
    assert sum(row.requests for row in rows) == 4
    assert sum(row.errors for row in rows) == 1
    assert all(row.hour % HOUR == 0 for row in rows)


def test_a_quirk_is_counted_for_the_connection_that_relies_on_it(
    app: Flask, directory: Directory
) -> None:
    other = connect(app, "Other")
    for name in ("ann", "bob"):
        directory.user(name, active="true")
    other.user("carl", emails=["carl@example.org"])
    traces(app)
    directory.user("dora", active="true")
    traces(app)
    seen = {(row.connection.name, row.name): row.seen for row in QuirkUse.select()}
    assert seen == {("Contoso", "boolean_strings"): 3, ("Other", "bare_values"): 1}


def test_a_connection_that_is_gone_by_now_takes_nothing_along(
    app: Flask, directory: Directory
) -> None:
    other = connect(app, "Other")
    directory("GET", "/Users")
    other("GET", "/Users")
    with transaction():
        connections.retire(other.connection, CLI)
        connections.delete(other.connection, CLI)
    assert [row.connection_id for row in traces(app)] == [directory.connection.id]


def test_the_recorder_writes_by_itself_and_once_more_at_the_end(
    app: Flask, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.storage.recorder.PAUSE", 600.0)
    recorder: Recorder[tracing.Left] = app.extensions[EXTENSION]
    directory("GET", "/Users")
    written: list[int] = []
    own = Recorder[tracing.Left](lambda batch: written.append(len(batch)))
    own.start()
    own.note(recorder._waiting[0])
    own.stop()
    assert written == [1]
