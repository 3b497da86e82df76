# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask
from flask.testing import FlaskClient

from provisioning import directory, keys
from provisioning.audit import CLI, Event
from provisioning.clock import MINUTE, SECOND, now_ms
from provisioning.desks import batches, jobs, orders, stations, turns
from provisioning.issuing import assignment
from provisioning.lifecycle import JobState, JobStep, KeyKind, KeyState, Reason, TurnState
from provisioning.models import (
    Activation,
    AuditEvent,
    Challenge,
    Credential,
    Job,
    OutboxMail,
    PairingCode,
    RequestId,
    SecurityKey,
    Session,
    Station,
    User,
)
from provisioning.panel import access, sign_in
from provisioning.panel.access import Role
from provisioning.processes import watch
from provisioning.services import EXTENSION, Services
from provisioning.settings import AttestationRule
from provisioning.storage.db import database, transaction
from reader.simulator import root_pem
from tests.fakes.authenticator import Authenticator
from tests.fakes.desk import KNOWS_ALL, Desk, b64url, pairing_code
from tests.fakes.meanwhile import meanwhile
from tests.fakes.people import person


@pytest.fixture
def services(services: Services) -> Services:
    """No attestation is asked for: the ceremonies' own tests hold that."""
    changed = services.settings.model_copy(update={"attestation": AttestationRule.NONE})
    return Services(changed, services.vault)


@pytest.fixture
def desk(client: FlaskClient, services: Services) -> Desk:
    return Desk.paired(client, services)


@pytest.fixture
def ada(services: Services) -> User:
    document = {
        "userName": "ada",
        "displayName": "Ada Lovelace",
        "active": True,
        "emails": [{"value": "ada@example.org", "primary": True}],
    }
    with transaction():
        return directory.create_user(document, connection=None, actor=CLI)


def draft(user: User | None = None, name: str = "Card of Ada Lovelace") -> SecurityKey:
    return keys.draft(KeyKind.CONTACTLESS_CARD, name, "admin", user=user, actor=CLI)


def queued(desk: Desk, services: Services, user: User | None = None, **more: Any) -> Job:
    with transaction():
        key = draft(user)
        if user is not None:
            keys.assign(key, user, CLI)
        return orders.queue_enrolment(desk.row, key, services, CLI, **more)


def card(ticket: dict[str, Any], services: Services) -> tuple[Authenticator, dict[str, Any]]:
    settings = services.settings
    made = Authenticator(settings.origin, settings.rp_id)
    return made, made.create(json.dumps(ticket["options"]))


def enrol(desk: Desk, ticket: dict[str, Any], services: Services) -> Authenticator:
    """Tell all that happens in a good enrolment."""
    made, response = card(ticket, services)
    for event, body in (
        ("waiting", {}),
        ("card", KNOWS_ALL),
        ("pin_setting", {}),
        ("pin_set", {}),
        ("credential", {"response": response}),
        ("change_forced", {"forced": True}),
        ("done", {}),
    ):
        answer = desk.tell(ticket, event, **body)
        assert answer.json == {"go": True}, (event, answer.json)
    return made


def fresh(job: Job) -> Job:
    return jobs.get(job.resource_id)


class TestPairing:
    def test_a_code_makes_a_station_once(self, client: FlaskClient, services: Services) -> None:
        code = pairing_code(services)
        answer = Desk(client, services.settings.base_url).pair(code)

        assert answer.status_code == 201
        assert answer.json["rp_id"] == "localhost"
        assert answer.json["origin"] == "http://localhost:5005"
        assert answer.json["organisation"] == "Example Hospital"
        again = Desk(client, services.settings.base_url).pair(code)
        assert (again.status_code, again.json["error"]) == (403, "pairing_code")
        assert Station.select().count() == 1

    def test_five_wrong_codes_close_the_open_one(
        self, client: FlaskClient, services: Services
    ) -> None:
        code = pairing_code(services)
        desk = Desk(client, services.settings.base_url)
        for number in range(5):
            assert desk.pair(f"{(int(code) + number + 1) % 10**8:08d}").status_code == 403
        assert PairingCode.get().tries == 5
        assert desk.pair(code).status_code == 403

    def test_the_key_must_prove_itself(self, client: FlaskClient, services: Services) -> None:
        desk = Desk(client, services.settings.base_url)
        code = pairing_code(services)
        other = b64url(Ed25519PrivateKey.generate().public_key().public_bytes_raw())
        assert desk.pair(code, signing_key=other).status_code == 401
        desk.id = "somebody"
        assert desk.pair(code).status_code == 401
        assert PairingCode.get().tries == 0

    @pytest.mark.parametrize(
        "changes",
        [
            {"name": ""},
            {"name": "x" * 65},
            {"name": 7},
            {"signing_key": "short"},
            {"sealing_key": b64url(b"\0" * 32)},
            {"sealing_key": None},
            {"name": "\ud800"},
            {"name": "a\0b"},
        ],
    )
    def test_a_bad_field_is_refused_in_json(
        self, client: FlaskClient, services: Services, changes: dict[str, object]
    ) -> None:
        answer = Desk(client, services.settings.base_url).pair(pairing_code(services), **changes)
        assert (answer.status_code, answer.json["error"]) == (400, "invalid")
        assert answer.json["message"]

    def test_guessing_is_slowed_down(self, app: Flask, services: Services) -> None:
        desk = Desk(app.test_client(), services.settings.base_url)
        codes = [desk.pair("00000000").status_code for _ in range(30)]
        assert codes[0] == 403
        assert codes[-1] == 429


class TestSignature:
    @pytest.mark.parametrize(
        ("claims", "header"),
        [
            ({"htm": "GET"}, {}),
            ({"htu": "http://localhost:5005/station/v1/pair"}, {}),
            ({"htu": "http://evil.example/station/v1/poll"}, {}),
            ({"bh": b64url(b"\0" * 32)}, {}),
            ({"jti": "short"}, {}),
            ({"exp": 9_999_999_999}, {}),
            ({}, {"kid": "nobody"}),
            ({}, {"typ": "ticket+jwt"}),
        ],
    )
    def test_a_request_signed_for_something_else_is_refused(
        self, desk: Desk, claims: dict[str, Any], header: dict[str, Any]
    ) -> None:
        body = {"state": "card", "reader": "R", "version": "1", "wait": 0}
        answer = desk.post("poll", body, claims=claims, header=header)
        assert (answer.status_code, answer.json["error"]) == (401, "signature")

    def test_another_key_is_refused(self, desk: Desk) -> None:
        answer = desk.post("poll", {"state": "card"}, key=Ed25519PrivateKey.generate())
        assert answer.status_code == 401

    def test_no_signature_is_refused(self, client: FlaskClient) -> None:
        assert client.post("/station/v1/poll", json={}).status_code == 401

    def test_a_changed_body_is_refused(self, desk: Desk) -> None:
        answer = desk.post("poll", {"state": "card"}, sent=b'{"state": "no_card"}')
        assert answer.status_code == 401

    def test_the_host_header_decides_nothing(self, desk: Desk) -> None:
        answer = desk.post("poll", {"state": "card", "wait": 0}, headers={"Host": "127.0.0.1:5005"})
        assert answer.status_code == 204

    def test_a_request_is_taken_once(self, desk: Desk, client: FlaskClient) -> None:
        raw = json.dumps({"state": "no_card", "wait": 0}).encode()
        signed = {"Authorization": desk.sign("poll", raw)}
        first, second = (
            client.post("/station/v1/poll", data=raw, headers=signed) for _ in range(2)
        )
        assert first.status_code == 204
        assert (second.status_code, second.json["error"]) == (401, "signature")
        assert RequestId.select().count() == 1

    def test_a_wrong_clock_is_told_the_time(self, desk: Desk) -> None:
        past = int(time.time()) - 3600
        answer = desk.post("poll", {"state": "card"}, claims={"iat": past, "exp": past + 60})
        assert (answer.status_code, answer.json["error"]) == (401, "clock")
        assert abs(answer.json["server_time"] - time.time()) < 5

    def test_a_revoked_station_hears_so(self, desk: Desk) -> None:
        with transaction():
            stations.revoke(desk.row, CLI)
        answer = desk.poll()
        assert (answer.status_code, answer.json["error"]) == (410, "revoked")

    @pytest.mark.parametrize(
        "raw", [b"[]", b"{", b"\xff", b'{"a": NaN}', b"[" * 30_000, b'{"state": 7}', b"{}"]
    )
    def test_a_body_that_is_no_poll_is_refused(self, desk: Desk, raw: bytes) -> None:
        answer = desk.post("poll", raw)
        assert (answer.status_code, answer.json["error"]) == (400, "invalid")

    def test_a_large_body_is_refused(self, desk: Desk) -> None:
        answer = desk.post("poll", {"state": "x" * 70_000})
        assert (answer.status_code, answer.json["error"]) == (413, "too_large")

    def test_other_methods_are_refused_in_json(self, client: FlaskClient) -> None:
        answer = client.get("/station/v1/poll", headers={"Accept": "application/json"})
        assert answer.status_code == 405
        assert answer.is_json


class TestPoll:
    def test_a_poll_tells_how_the_station_is(self, desk: Desk) -> None:
        assert desk.poll("card").status_code == 204
        assert stations.shown_state(desk.row) == "card"
        assert desk.row.reader_name == "Soft reader"

    @pytest.mark.parametrize(
        "body",
        [
            {"readers": "Desk NFC"},
            {"readers": ["Desk NFC"]},
            {"readers": [{"name": "Desk NFC", "state": "on fire"}]},
            {"readers": [{"name": 1, "state": "card"}]},
            {"readers": [{"name": "x" * 257, "state": "card"}]},
            {"readers": [{"name": "x", "state": "card"}] * 17},
            {"clock": "5"},
            {"clock": 0.5},
            {"clock": True},
        ],
    )
    def test_readers_and_clock_that_are_none_are_refused(
        self, desk: Desk, body: dict[str, Any]
    ) -> None:
        assert desk.poll(**body).status_code == 400
        assert stations.readers_of(desk.row) == []

    def test_a_clock_as_wrong_as_a_number_can_be_is_borne(self, desk: Desk) -> None:
        assert desk.poll(clock=-(10**30)).status_code == 204

    def test_only_a_station_that_proves_itself_hears_the_version(
        self, desk: Desk, client: FlaskClient
    ) -> None:
        assert desk.poll().headers["Keywright-Version"] == metadata.version("keywright")
        refused = client.post("/station/v1/poll", json={})
        assert "Keywright-Version" not in refused.headers

    def test_a_queued_job_comes_as_a_ticket_that_only_this_station_opens(
        self, desk: Desk, services: Services, ada: User
    ) -> None:
        job = queued(desk, services, ada)
        ticket = desk.ticket()

        assert ticket["job"] == job.resource_id
        assert ticket["op"] == "enrol"
        assert ticket["user"] == "Ada Lovelace"
        assert ticket["options"]["rp"]["id"] == "localhost"
        assert ticket["exp"] - ticket["iat"] <= 120
        assert len(desk.pin_of(ticket)) == 6
        assert fresh(job).state == JobState.RUNNING

    def test_one_job_at_a_time(self, desk: Desk, services: Services, ada: User) -> None:
        queued(desk, services, ada)
        with transaction():
            orders.queue_enrolment(desk.row, draft(name="Other"), services, CLI)
        desk.ticket()
        assert desk.poll().status_code == 204

    def test_a_job_for_another_desk_stays_there(
        self, client: FlaskClient, desk: Desk, services: Services, ada: User
    ) -> None:
        queued(desk, services, ada)
        other = Desk.paired(client, services, "Other desk")
        assert other.poll().status_code == 204

    @pytest.mark.parametrize("wait", [-5, 0])
    def test_no_wait_no_waiting(self, desk: Desk, wait: float) -> None:
        started = time.monotonic()
        assert desk.poll(wait=wait).status_code == 204
        assert time.monotonic() - started < 1

    @pytest.mark.parametrize("wait", ["25", True, None])
    def test_a_wait_that_is_no_number_is_refused(self, desk: Desk, wait: object) -> None:
        answer = desk.post("poll", {"state": "card", "wait": wait})
        assert answer.status_code == 400

    def test_a_waiting_poll_hears_of_a_job_at_once(
        self, desk: Desk, services: Services, ada: User
    ) -> None:
        told: list[float] = []

        def later() -> None:
            time.sleep(0.3)
            queued(desk, services, ada)
            told.append(time.monotonic())
            database.close()

        thread = threading.Thread(target=later)
        thread.start()
        answer = desk.poll(wait=10)
        heard = time.monotonic()
        thread.join()
        assert answer.status_code == 200
        assert heard - told[0] < 0.5

    def test_a_waiting_poll_hears_of_its_revocation_at_once(self, desk: Desk) -> None:
        told: list[float] = []

        def later() -> None:
            time.sleep(0.3)
            with transaction():
                stations.revoke(desk.row, CLI)
            told.append(time.monotonic())
            database.close()

        thread = threading.Thread(target=later)
        thread.start()
        answer = desk.poll(wait=10)
        heard = time.monotonic()
        thread.join()
        assert answer.status_code == 410
        assert heard - told[0] < 0.5

    def test_a_process_that_ends_lets_go_of_the_connection_too(
        self, app: Flask, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(app.extensions, watch.EXTENSION, watch.Watch(1))  # the app is shared
        assert "Connection" not in desk.poll(wait=0).headers
        app.extensions[watch.EXTENSION].let_go()
        answer = desk.poll(wait=20)
        assert answer.status_code == 204
        assert answer.headers["Connection"] == "close"

    def test_a_waiting_poll_goes_on_while_a_batch_refuses_one_after_the_other(
        self, desk: Desk, services: Services, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(turns, "REFUSALS", 1)
        gone = [person("bob"), person("cy")]
        with transaction():
            grace = access.create_account("Grace Hopper", Role.OPERATOR, CLI)
            batch = batches.make("Monday", grace, [*gone, ada])
            turns.start(batch, [desk.row], CLI)
        User.update(active=False).where(User.id.in_([user.id for user in gone])).execute()

        def states() -> list[str]:
            return [item.state for item in batches.items(batch)]

        assert desk.poll().status_code == 204
        assert states() == [TurnState.REFUSED, TurnState.WAITING, TurnState.WAITING]
        assert desk.poll(wait=5).json["ticket"]
        assert states() == [TurnState.REFUSED, TurnState.REFUSED, TurnState.AT_READER]

    def test_at_most_half_of_the_threads_wait(self, app: Flask, services: Services) -> None:
        places = services.settings.web_threads // 2
        desks = [Desk.paired(app.test_client(), services, f"Desk {n}") for n in range(places + 1)]

        def wait(desk: Desk) -> None:
            desk.poll(wait=2)
            database.close()

        threads = [threading.Thread(target=wait, args=(desk,)) for desk in desks[:-1]]
        for thread in threads:
            thread.start()
        time.sleep(0.8)
        started = time.monotonic()
        answer = desks[-1].poll(wait=2)
        assert answer.status_code == 204
        assert answer.headers["Retry-After"] == "2"
        assert time.monotonic() - started < 1
        for thread in threads:
            thread.join()

    def test_a_ticket_that_got_lost_goes_out_anew(
        self, desk: Desk, services: Services, ada: User
    ) -> None:
        job = queued(desk, services, ada)
        lost = desk.ticket()
        Job.update(updated_at=now_ms() - 4 * SECOND).where(Job.id == job.id).execute()
        found = desk.ticket()
        assert found["job"] == lost["job"]
        assert desk.tell(lost, "waiting").status_code == 409
        assert desk.tell(found, "waiting").status_code == 200

    def test_a_job_that_broke_off_is_interrupted_when_the_station_asks_for_work(
        self, desk: Desk, services: Services, ada: User
    ) -> None:
        job = queued(desk, services, ada)
        ticket = desk.ticket()
        desk.tell(ticket, "waiting")
        Job.update(ticket_expires_at=now_ms() - 4 * SECOND).where(Job.id == job.id).execute()
        assert desk.poll().status_code == 204
        assert (fresh(job).state, fresh(job).fault) == (JobState.INTERRUPTED, "station_gone")


class TestEvents:
    def test_a_draft_is_enrolled_step_by_step(self, desk: Desk, services: Services) -> None:
        job = queued(desk, services)
        ticket = desk.ticket()
        made, response = card(ticket, services)

        assert desk.tell(ticket, "waiting").json == {"go": True}
        assert stations.shown_state(desk.row) == "busy"
        assert desk.tell(ticket, "card", **KNOWS_ALL).json == {"go": True}
        assert fresh(job).step == JobStep.TAPPED
        desk.tell(ticket, "pin_setting")
        assert jobs.card_touched(fresh(job))
        desk.tell(ticket, "pin_set")
        assert fresh(job).step == JobStep.PIN_SET
        assert desk.tell(ticket, "credential", response=response).json == {"go": True}
        assert fresh(job).step == JobStep.REGISTERED
        assert bytes(Credential.get().credential_id) == made.credential_id
        desk.tell(ticket, "change_forced", forced=True)
        assert fresh(job).step == JobStep.CHANGE_FORCED
        desk.tell(ticket, "done")
        assert fresh(job).state == JobState.DONE
        # Tapped in a wizard: nothing counts before Confirm.
        assert SecurityKey.get().state == KeyState.DRAFT
        assert fresh(job).sealed_pin is not None

    @pytest.mark.req("R20")
    def test_a_pending_key_is_active_only_when_all_is_done(
        self, desk: Desk, services: Services, ada: User
    ) -> None:
        queued(desk, services, ada)
        ticket = desk.ticket()
        _made, response = card(ticket, services)
        for event, body in (
            ("waiting", {}),
            ("card", KNOWS_ALL),
            ("pin_setting", {}),
            ("pin_set", {}),
            ("credential", {"response": response}),
            ("change_forced", {"forced": True}),
        ):
            desk.tell(ticket, event, **body)
            assert SecurityKey.get().state == KeyState.PENDING, event
        early = desk.tell(ticket, "done")
        assert early.json == {"go": True}
        assert SecurityKey.get().state == KeyState.ACTIVE
        assert OutboxMail.select().where(OutboxMail.template == "pin").count() == 1

    @pytest.mark.req("R20")
    def test_done_before_its_time_is_refused(
        self, desk: Desk, services: Services, ada: User
    ) -> None:
        queued(desk, services, ada)
        ticket = desk.ticket()
        desk.tell(ticket, "card", **KNOWS_ALL)
        answer = desk.tell(ticket, "done")
        assert (answer.status_code, answer.json["error"]) == (409, "state")
        assert SecurityKey.get().state == KeyState.PENDING

    def test_each_event_may_come_twice(self, desk: Desk, services: Services, ada: User) -> None:
        queued(desk, services, ada)
        ticket = desk.ticket()
        _made, response = card(ticket, services)
        for event, body in (
            ("waiting", {}),
            ("card", KNOWS_ALL),
            ("pin_setting", {}),
            ("pin_set", {}),
            ("credential", {"response": response}),
            ("change_forced", {"forced": True}),
            ("done", {}),
        ):
            for _ in range(2):
                answer = desk.tell(ticket, event, **body)
                assert answer.json == {"go": True}, event
        assert Credential.select().count() == 1
        assert OutboxMail.select().where(OutboxMail.template == "pin").count() == 1

    @pytest.mark.req("R13")
    def test_a_challenge_is_dead_after_a_try_that_failed(
        self, desk: Desk, services: Services, ada: User
    ) -> None:
        job = queued(desk, services, ada)
        ticket = desk.ticket()
        _made, response = card(ticket, services)
        forged = {**response, "response": {**response["response"], "clientDataJSON": "e30"}}
        answer = desk.tell(ticket, "credential", response=forged)
        assert answer.json["go"] is False
        assert answer.json["message"]
        assert fresh(job).state == JobState.INTERRUPTED
        assert Challenge.select().count() == 0
        assert desk.tell(ticket, "credential", response=response).status_code == 409
        assert Credential.select().count() == 0

    @pytest.mark.req("R13")
    def test_an_answer_to_an_earlier_ticket_is_refused(
        self, desk: Desk, services: Services, ada: User
    ) -> None:
        job = queued(desk, services, ada)
        first = desk.ticket()
        _made, response = card(first, services)
        desk.tell(first, "fault", fault="card_removed", step="tapped", detail="")
        with transaction():
            jobs.requeue(fresh(job), CLI)
        second = desk.ticket()
        answer = desk.tell(second, "credential", response=response)
        assert answer.json["go"] is False
        assert Credential.select().count() == 0

    def test_a_fault_interrupts_and_a_new_ticket_resumes_with_the_same_pin(
        self, desk: Desk, services: Services, ada: User
    ) -> None:
        job = queued(desk, services, ada)
        ticket = desk.ticket()
        desk.tell(ticket, "waiting")
        desk.tell(ticket, "card", **KNOWS_ALL)
        desk.tell(ticket, "pin_setting")
        answer = desk.tell(ticket, "fault", fault="card_removed", step="tapped", detail="gone")
        assert answer.json == {"go": True}
        assert (fresh(job).state, fresh(job).fault) == (JobState.INTERRUPTED, "card_removed")
        with transaction():
            jobs.requeue(fresh(job), CLI)
        again = desk.ticket()
        assert again["resume"]["pin_maybe_set"] is True
        assert again["resume"]["uid"] == "04aabbcc"
        assert desk.pin_of(again) == desk.pin_of(ticket)

    def test_a_fault_after_registration_resumes_with_the_credential(
        self, desk: Desk, services: Services, ada: User
    ) -> None:
        job = queued(desk, services, ada)
        ticket = desk.ticket()
        made, response = card(ticket, services)
        desk.tell(ticket, "card", **KNOWS_ALL)
        desk.tell(ticket, "pin_set")
        desk.tell(ticket, "credential", response=response)
        desk.tell(ticket, "fault", fault="card_removed", step="registered")
        with transaction():
            jobs.requeue(fresh(job), CLI)
        again = desk.ticket()
        assert again["resume"]["step"] == "registered"
        assert again["resume"]["credential_id"] == b64url(made.credential_id)
        assert desk.tell(again, "change_forced", forced=False).json == {"go": True}
        assert desk.tell(again, "done").json == {"go": True}
        assert SecurityKey.get().state == KeyState.ACTIVE
        assert SecurityKey.get().pin_change_forced is False

    def test_another_ticket_is_not_out(self, desk: Desk, services: Services, ada: User) -> None:
        queued(desk, services, ada)
        ticket = desk.ticket()
        answer = desk.tell({**ticket, "jti": "other"}, "waiting")
        assert (answer.status_code, answer.json["error"]) == (409, "ticket")

    def test_a_job_of_another_desk_is_not_found(
        self, client: FlaskClient, desk: Desk, services: Services, ada: User
    ) -> None:
        queued(desk, services, ada)
        ticket = desk.ticket()
        other = Desk.paired(client, services, "Other desk")
        assert other.tell(ticket, "waiting").status_code == 404
        assert desk.tell({**ticket, "job": "none"}, "waiting").status_code == 404

    def test_a_job_that_the_page_cancelled_stops_the_station(
        self, desk: Desk, services: Services, ada: User
    ) -> None:
        job = queued(desk, services, ada)
        ticket = desk.ticket()
        desk.tell(ticket, "waiting")
        with transaction():
            jobs.cancel(fresh(job), CLI)
        answer = desk.tell(ticket, "card", **KNOWS_ALL)
        assert answer.status_code == 200
        assert (answer.json["go"], answer.json["reason"]) == (False, "cancelled")

    @pytest.mark.parametrize("event", ["", "nonsense", "assertion", "x" * 200])
    def test_an_unknown_event_is_refused(
        self, desk: Desk, services: Services, ada: User, event: str
    ) -> None:
        queued(desk, services, ada)
        assert desk.tell(desk.ticket(), event).status_code == 400

    def test_waiting_keeps_a_job_alive_longer_than_its_ticket(
        self, desk: Desk, services: Services, ada: User
    ) -> None:
        job = queued(desk, services, ada)
        ticket = desk.ticket()
        desk.tell(ticket, "waiting")
        desk.tell(ticket, "card", **KNOWS_ALL)
        shown = fresh(job).updated_at
        Job.update(ticket_expires_at=now_ms() - 50 * SECOND).execute()
        assert desk.tell(ticket, "waiting").json == {"go": True}
        Job.update(ticket_expires_at=Job.ticket_expires_at - 50 * SECOND).execute()
        assert desk.tell(ticket, "pin_setting").json == {"go": True}
        assert jobs.card_of(fresh(job))["at"] == "card"
        assert shown <= fresh(job).updated_at
        Job.update(ticket_expires_at=now_ms() - MINUTE - 1).execute()
        assert desk.tell(ticket, "pin_set").status_code == 409

    def test_a_card_that_is_somebody_elses_is_said_without_a_name(
        self, desk: Desk, services: Services, ada: User
    ) -> None:
        queued(desk, services, ada)
        made = enrol(desk, desk.ticket(), services)
        job = queued(desk, services)
        ticket = desk.ticket()
        answer = desk.tell(ticket, "card", **{**KNOWS_ALL, "known": [b64url(made.credential_id)]})
        assert answer.json["reason"] == "card_taken"
        assert "Ada" not in answer.json["message"]
        assert fresh(job).fault == "card_taken"

    def test_an_own_pin_needs_no_forced_change(
        self, app: Flask, services: Services, ada: User
    ) -> None:
        strict = Services(
            services.settings.model_copy(update={"require_forced_pin_change": True}),
            services.vault,
        )
        app.extensions["keywright"] = strict
        desk = Desk.paired(app.test_client(), strict)
        queued(desk, strict, ada, own_pin=True)
        ticket = desk.ticket()
        assert ticket["pin"] == {"mode": "own", "min_length": 6}
        _made, response = card(ticket, strict)
        for event, body in (
            ("card", {**KNOWS_ALL, "can_force_change": False}),
            ("pin_setting", {}),
            ("pin_set", {}),
            ("credential", {"response": response}),
            ("change_forced", {"forced": False}),
            ("done", {}),
        ):
            assert desk.tell(ticket, event, **body).json == {"go": True}, event
        assert SecurityKey.get().state == KeyState.ACTIVE

    def test_a_card_that_cannot_force_a_change_is_refused_where_that_is_policy(
        self, app: Flask, services: Services, ada: User
    ) -> None:
        strict = Services(
            services.settings.model_copy(update={"require_forced_pin_change": True}),
            services.vault,
        )
        app.extensions["keywright"] = strict
        desk = Desk.paired(app.test_client(), strict)
        queued(desk, strict, ada)
        answer = desk.tell(desk.ticket(), "card", **{**KNOWS_ALL, "can_force_change": False})
        assert answer.json["reason"] == "cannot_force_change"

    def test_a_link_that_died_meanwhile_leaves_a_card_that_a_new_link_finishes(
        self, desk: Desk, services: Services, ada: User
    ) -> None:
        with transaction():
            key = draft(ada)
            first, _url = assignment.confirm_by_user(key, ada, services, CLI)
            session = _session(first)
            job = orders.queue_enrolment(desk.row, key, services, CLI, session=session)
        ticket = desk.ticket()
        _made, response = card(ticket, services)
        for event, body in (
            ("card", KNOWS_ALL),
            ("pin_setting", {}),
            ("pin_set", {}),
            ("credential", {"response": response}),
            ("change_forced", {"forced": True}),
        ):
            desk.tell(ticket, event, **body)
        Activation.update(state="cancelled").execute()
        answer = desk.tell(ticket, "done")
        assert (answer.json["go"], answer.json["reason"]) == (False, "link_dead")
        assert SecurityKey.get().state == KeyState.PENDING
        assert OutboxMail.select().where(OutboxMail.template == "pin").count() == 0

        with transaction():
            second = Activation.create(
                resource_id="second",
                key=key,
                user=ada,
                token_hash=b"2" * 32,
                address="ada@example.org",
                expires_at=now_ms() + MINUTE,
            )
            again = orders.queue_enrolment(
                desk.row, SecurityKey.get(), services, CLI, session=_session(second)
            )
        assert again.id == job.id
        ticket = desk.ticket()
        assert desk.tell(ticket, "done").json == {"go": True}
        assert SecurityKey.get().state == KeyState.ACTIVE
        assert Activation.get_by_id(second.id).state == "used"


class TestOtherJobs:
    @pytest.fixture
    def made(self, desk: Desk, services: Services, ada: User) -> Authenticator:
        queued(desk, services, ada)
        return enrol(desk, desk.ticket(), services)

    def asked(self, desk: Desk) -> Job:
        with transaction():
            return orders.queue_assertion(desk.row, CLI, purpose=sign_in.USER, binding="browser")

    def test_an_assertion_signs_in_once(self, desk: Desk, made: Authenticator) -> None:
        job = self.asked(desk)
        ticket = desk.ticket()
        assert ticket["code"] == job.code
        assert ticket["options"]["rpId"] == "localhost"
        answer = made.get(json.dumps(ticket["options"]))
        assert desk.tell(ticket, "card", **KNOWS_ALL).json == {"go": True}
        assert desk.tell(ticket, "assertion", response=answer).json == {"go": True}
        assert fresh(job).state == JobState.DONE
        assert fresh(job).user == User.get()
        assert desk.tell(ticket, "assertion", response=answer).json == {"go": True}
        signed_in = AuditEvent.select().where(AuditEvent.event == Event.USER_SIGNED_IN.value)
        assert signed_in.count() == 1

    @pytest.mark.req("R15")
    def test_a_counter_that_goes_backwards_locks_the_key(
        self, desk: Desk, made: Authenticator
    ) -> None:
        job = self.asked(desk)
        ticket = desk.ticket()
        desk.tell(ticket, "assertion", response=made.get(json.dumps(ticket["options"]), count=9))
        self.asked(desk)
        ticket = desk.ticket()
        answer = desk.tell(
            ticket, "assertion", response=made.get(json.dumps(ticket["options"]), count=9)
        )
        assert answer.json["go"] is False
        key = SecurityKey.get()
        assert (key.state, key.reason) == (KeyState.SUSPENDED, Reason.COUNTER_REGRESSED)
        assert fresh(job).state == JobState.DONE

    def test_a_temporary_key_signs_nobody_in_after_its_end(
        self, desk: Desk, made: Authenticator
    ) -> None:
        self.asked(desk)
        ticket = desk.ticket()
        SecurityKey.update(ends_at=1).execute()
        answer = desk.tell(ticket, "assertion", response=made.get(json.dumps(ticket["options"])))
        assert answer.json["go"] is False
        told = AuditEvent.get(AuditEvent.event == Event.SIGN_IN_REFUSED)
        assert "key_ended" in told.detail
        assert SecurityKey.get().state == KeyState.ACTIVE, "the worker has not been there yet"

    @pytest.mark.req("R15")
    def test_an_assertion_without_a_user_handle_is_refused(
        self, desk: Desk, made: Authenticator
    ) -> None:
        self.asked(desk)
        ticket = desk.ticket()
        response = made.get(json.dumps(ticket["options"]), user_handle=None)
        assert desk.tell(ticket, "assertion", response=response).json["go"] is False
        refused = AuditEvent.get(AuditEvent.event == Event.SIGN_IN_REFUSED.value)
        assert json.loads(refused.detail)["reason"] == "no_user_handle"

    def test_a_changed_pin_is_noted(self, desk: Desk, made: Authenticator) -> None:
        key = SecurityKey.get()
        assert key.pin_change_forced is True
        with transaction():
            orders.queue_pin_change(desk.row, key, CLI)
        ticket = desk.ticket()
        assert ticket["op"] == "change_pin"
        known = {**KNOWS_ALL, "known": [b64url(made.credential_id)]}
        assert desk.tell(ticket, "card", **known).json == {"go": True}
        assert desk.tell(ticket, "done").json == {"go": True}
        assert SecurityKey.get().pin_change_forced is False

    def test_another_card_than_the_one_meant_stops_a_pin_change(
        self, desk: Desk, made: Authenticator
    ) -> None:
        with transaction():
            orders.queue_pin_change(desk.row, SecurityKey.get(), CLI)
        answer = desk.tell(desk.ticket(), "card", **KNOWS_ALL)
        assert answer.json["reason"] == "no_credential"

    def test_a_card_that_was_reset_is_enrolled_anew(
        self, desk: Desk, made: Authenticator, services: Services
    ) -> None:
        with transaction():
            key = SecurityKey.get()
            keys.need_reset(key, CLI, "asked for")
            orders.queue_reset(desk.row, key, services, CLI)
        ticket = desk.ticket()
        known = {**KNOWS_ALL, "known": [b64url(made.credential_id)]}
        assert desk.tell(ticket, "card", **known).json == {"go": True}
        assert desk.tell(ticket, "done").status_code == 409, "nothing was wiped yet"
        assert desk.tell(ticket, "wiping").json == {"go": True}
        assert desk.tell(ticket, "done").json == {"go": True}
        assert SecurityKey.get().state == KeyState.PENDING
        ticket = desk.ticket()
        assert ticket["op"] == "enrol"
        assert ticket["resume"]["step"] == "prepared"
        enrol(desk, ticket, services)
        assert SecurityKey.get().state == KeyState.ACTIVE


@pytest.mark.req("R19")
def test_a_pin_shows_in_no_answer_and_no_table(
    desk: Desk, services: Services, ada: User, capfd: pytest.CaptureFixture[str]
) -> None:
    job = queued(desk, services, ada)
    ticket = desk.ticket()
    pin = desk.pin_of(ticket)
    enrol(desk, ticket, services)
    dump = "\n".join(
        str(row) for table in database.get_tables()
        for row in database.execute_sql(f'SELECT * FROM "{table}"').fetchall()
    )  # fmt: skip
    assert f"'{pin}'" not in dump
    assert pin not in json.dumps(ticket["options"])
    captured = capfd.readouterr()
    assert pin not in captured.out + captured.err
    assert fresh(job).sealed_pin is None


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    yield
    until = time.monotonic() + 2
    while any(thread.name == "watch" for thread in threading.enumerate()):
        assert time.monotonic() < until, "the watcher outlives those who waited"
        time.sleep(0.01)


def _session(activation: Activation) -> Session:
    return access.open_session(
        access.SessionKind.ACTIVATION,
        user=activation.user,
        key=activation.key,
        activation=activation,
    )[0]


def test_the_station_hears_what_the_server_calls_the_card_s_model(
    app: Flask, client: FlaskClient, services: Services, tmp_path: Path
) -> None:
    (tmp_path / "maker.pem").write_bytes(root_pem())
    (tmp_path / "models.json").write_text(
        json.dumps({KNOWS_ALL["aaguid"]: {"name": "Maker's card", "roots": ["maker.pem"]}})
    )
    desk = Desk.paired(client, services)
    queued(desk, services)
    assert desk.tell(desk.ticket(), "card", **KNOWS_ALL).json == {"go": True}
    changed = services.settings.model_copy(update={"attestation_roots": tmp_path})
    app.extensions[EXTENSION] = Services(changed, services.vault)
    other = Desk.paired(client, services, "Desk 2")
    job = queued(other, services)
    told = other.tell(other.ticket(), "card", **KNOWS_ALL).json
    assert told == {"go": True, "model": "Maker's card"}
    assert jobs.card_of(jobs.get(job.resource_id))["model"] == "Maker's card"
    # A folder that cannot be read is told where a credential is judged, not here.
    (tmp_path / "models.json").write_text("{")
    third = Desk.paired(client, services, "Desk 3")
    queued(third, services)
    assert third.tell(third.ticket(), "card", **KNOWS_ALL).json == {"go": True}


@pytest.mark.req("R30")
def test_a_station_that_is_revoked_while_it_waits_its_turn_gets_no_ticket(
    desk: Desk, services: Services, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.poll()
    job = queued(desk, services, ada)
    meanwhile(monkeypatch, lambda: stations.revoke(Station.get(), CLI))
    answer = desk.poll()
    assert answer.status_code == 410
    assert answer.json["error"] == "revoked"
    assert Job.get_by_id(job.id).state != JobState.RUNNING


@pytest.mark.req("R30")
def test_a_station_that_is_revoked_while_it_waits_its_turn_tells_nothing(
    desk: Desk, services: Services, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.poll()
    queued(desk, services, ada)
    ticket = desk.ticket()
    meanwhile(monkeypatch, lambda: stations.revoke(Station.get(), CLI))
    answer = desk.tell(ticket, "waiting")
    assert answer.status_code == 410
    assert answer.json["error"] == "revoked"
