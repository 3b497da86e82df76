# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace

import pytest

from reader import enroll
from reader.ceremony import Creation
from reader.faults import Fault
from reader.simulator.card import SoftwareCard
from reader.simulator.profile import BADGE, CTAP_2_0, JAVACARD, U2F_ONLY, Faults, Profile
from tests.reader.conftest import Bench, count_apdus
from tests.reader.fake_server import FakeJob

pytestmark = pytest.mark.enable_socket

PIN = "482915"
STORY = ["waiting", "card", "pin_setting", "pin_set", "credential", "change_forced", "done"]


def accepts(card: SoftwareCard, pin: str) -> bool:
    """Whether this is the card's PIN. Looks at the memory: no try is spent."""
    return card.memory.pin_hash == hashlib.sha256(pin.encode()).digest()[:16]


@pytest.mark.parametrize("profile", [Profile(), JAVACARD], ids=["ctap-2.1", "javacard"])
def test_a_card_is_enrolled_and_must_change_its_pin(bench: Bench, profile: Profile) -> None:
    card = bench.tap(SoftwareCard(profile))
    job = bench.finish(bench.server.enrol(PIN))
    assert job.fault is None
    assert job.story == STORY
    assert job.forced is True
    assert card.memory.force_pin_change
    assert card.memory.min_pin_length == 6
    assert accepts(card, PIN)
    assert [one.credential_id for one in card.memory.credentials] == [job.credential_id]


def test_the_card_may_be_tapped_after_the_job_came(bench: Bench) -> None:
    job = bench.server.enrol(PIN)
    bench.saw("tap")
    bench.tap(SoftwareCard())
    assert bench.finish(job).step == "done"


def test_the_server_hears_what_the_card_is(bench: Bench) -> None:
    card = bench.tap(SoftwareCard())
    job = bench.finish(bench.server.enrol(PIN))
    told = job.event("card")
    assert told["uid"] == card.uid.hex()
    assert told["fido"] is True
    assert told["versions"] == ["FIDO_2_0", "FIDO_2_1"]
    assert told["aaguid"] == str(card.profile.aaguid)
    assert (told["client_pin"], told["pin_retries"], told["known"]) == (False, None, [])
    assert (told["can_force_change"], told["min_pin_length"]) == (True, 4)


def test_a_card_that_cannot_force_a_change_says_so(bench: Bench) -> None:
    card = bench.tap(SoftwareCard(CTAP_2_0))
    job = bench.finish(bench.server.enrol(PIN))
    assert (job.step, job.forced) == ("done", False)
    assert job.event("card")["can_force_change"] is False
    assert accepts(card, PIN)


def test_no_change_is_forced_where_none_is_asked_for(bench: Bench) -> None:
    card = bench.tap(SoftwareCard())
    job = bench.finish(bench.server.enrol(PIN, force_change=False))
    assert (job.step, job.forced) == ("done", False)
    assert not card.memory.force_pin_change


def test_the_cards_power_is_cut_at_the_end(bench: Bench) -> None:
    card = bench.tap(SoftwareCard())
    bench.finish(bench.server.enrol(PIN))
    bench.saw("done")
    assert not card.powered


@pytest.mark.req("R19")
@pytest.mark.req("R23")
def test_the_pin_is_in_no_event_no_state_and_no_log(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1)
    bench.tap(SoftwareCard())
    job = bench.finish(bench.server.enrol("73915026"))
    bench.saw("done")
    everything = json.dumps(job.events) + repr(bench.desk.states) + caplog.text
    everything += "".join(str(record.__dict__) for record in caplog.records)
    assert "73915026" not in everything
    assert not [one for one in caplog.records if one.name.startswith(("fido2", "smartcard"))]


# Cards that cannot be enrolled


@pytest.mark.parametrize(
    ("profile", "fault"),
    [(BADGE, Fault.NOT_FIDO), (U2F_ONLY, Fault.U2F_ONLY)],
    ids=["badge", "u2f"],
)
def test_a_card_without_fido2_is_told_and_refused(
    bench: Bench, profile: Profile, fault: Fault
) -> None:
    card = bench.tap(SoftwareCard(profile))
    job = bench.finish(bench.server.enrol(PIN))
    assert job.story == ["waiting", "card", "fault"]
    assert (job.event("card")["fido"], job.event("card")["uid"]) == (False, card.uid.hex())
    assert job.fault is not None
    assert job.fault["fault"] == fault


@pytest.mark.parametrize(
    ("card", "fault", "step"),
    [
        (SoftwareCard(Profile(pin="1111")), Fault.PIN_PRESENT, "tapped"),
        (SoftwareCard(Profile(client_pin=False)), Fault.UNSUPPORTED, "tapped"),
        (SoftwareCard(Profile(min_pin_length=8)), Fault.PIN_TOO_SHORT, "tapped"),
        (SoftwareCard(faults=Faults(storage_full=True)), Fault.STORAGE_FULL, "pin_set"),
        (SoftwareCard(faults=Faults(garbage=True)), Fault.GARBAGE, "prepared"),
        (SoftwareCard(faults=Faults(mute=True)), Fault.CARD_MUTE, "prepared"),
    ],
    ids=["has-pin", "no-pin-ever", "longer-pin", "full", "garbage", "mute"],
)
def test_a_fault_of_the_card_has_its_word_and_its_step(
    bench: Bench, card: SoftwareCard, fault: Fault, step: str
) -> None:
    bench.tap(card)
    job = bench.finish(bench.server.enrol(PIN))
    assert job.fault is not None
    assert (job.fault["fault"], job.fault["step"]) == (fault, step)
    assert bench.saw("fault").fault is fault


def test_a_card_that_holds_the_key_already_is_refused(bench: Bench) -> None:
    card = bench.tap(SoftwareCard())
    first = bench.finish(bench.server.enrol(PIN, force_change=False))
    exclude = [{"type": "public-key", "id": first.event("credential")["response"]["id"]}]
    bench.reader.remove()
    bench.tap(card)
    again = FakeJob("enrol", pin=PIN, step="pin_set", uid=card.uid.hex())
    again.options = {"excludeCredentials": exclude}
    job = bench.finish(bench.server.send(again))
    assert job.event("card")["known"] == [exclude[0]["id"]]
    assert job.fault is not None
    assert job.fault["fault"] == Fault.ALREADY_ENROLLED


def test_a_long_list_of_other_keys_is_no_hindrance(bench: Bench) -> None:
    others = [{"type": "public-key", "id": f"AAAA{number:04}"} for number in range(30)]
    bench.tap(SoftwareCard(Profile(max_creds_in_list=4)))
    job = bench.finish(bench.server.enrol(PIN, options={"excludeCredentials": others}))
    assert job.step == "done"


def test_a_key_at_the_end_of_a_long_list_is_found(bench: Bench) -> None:
    card = bench.tap(SoftwareCard(Profile(max_creds_in_list=4)))
    first = bench.finish(bench.server.enrol(PIN, force_change=False))
    bench.reader.remove()
    bench.tap(card)
    others = [{"type": "public-key", "id": f"AAAA{number:04}"} for number in range(30)]
    mine = {"type": "public-key", "id": first.event("credential")["response"]["id"]}
    again = FakeJob("enrol", pin=PIN, step="pin_set", uid=card.uid.hex())
    again.options = {"excludeCredentials": [*others, mine]}
    job = bench.finish(bench.server.send(again))
    assert job.fault is not None
    assert job.fault["fault"] == Fault.ALREADY_ENROLLED


# The server says no


@pytest.mark.parametrize("event", STORY[:-1])
def test_the_station_stops_where_the_server_says_stop(bench: Bench, event: str) -> None:
    card = bench.tap(SoftwareCard())
    reply = {"go": False, "reason": "cancelled", "message": "This was cancelled on the page."}
    job = bench.finish(bench.server.enrol(PIN, replies={event: reply}))
    assert bench.saw("cancelled").text == "Stopped: This was cancelled on the page."
    assert job.story == STORY[: STORY.index(event) + 1]
    assert (card.memory.pin_hash is not None) == (STORY.index(event) >= STORY.index("pin_set"))


def test_a_stranger_s_card_is_left_as_it_is(bench: Bench) -> None:
    card = bench.tap(SoftwareCard())
    before = repr(card.memory)
    reply = {"go": False, "reason": "card_taken"}
    bench.finish(bench.server.enrol(PIN, replies={"card": reply}))
    bench.saw("cancelled")
    assert repr(card.memory) == before


def test_a_job_cancelled_on_the_page_ends_while_the_desk_waits(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reader import job as job_module

    monkeypatch.setattr(job_module, "PULSE_SECONDS", 0.05)
    job = bench.server.enrol(PIN, tap_seconds=60)
    bench.saw("tap")
    job.replies["waiting"] = {"go": False, "reason": "cancelled"}
    bench.saw("cancelled", seconds=2)
    assert bench.desk.states[-1].step in ("cancelled", "ready")


def test_a_tap_that_does_not_come_is_a_fault(bench: Bench) -> None:
    job = bench.finish(bench.server.enrol(PIN, tap_seconds=1))
    assert job.fault is not None
    assert (job.fault["fault"], job.fault["step"]) == (Fault.NO_CARD, "prepared")


# A PIN of one's own


def test_an_own_pin_is_asked_for_and_not_sent(bench: Bench) -> None:
    bench.desk.new_pins = ["correct horse"]
    card = bench.tap(SoftwareCard())
    job = bench.finish(bench.server.send(FakeJob("enrol", own_pin=True)))
    assert (job.step, job.forced) == ("done", False)
    assert "correct horse" not in json.dumps(job.events)
    assert accepts(card, "correct horse")
    assert not card.memory.force_pin_change


def test_an_own_pin_that_breaks_the_rules_never_reaches_the_card(bench: Bench) -> None:
    bench.desk.new_pins = ["12345"]  # a desk that let it through
    card = bench.tap(SoftwareCard())
    job = bench.finish(bench.server.send(FakeJob("enrol", own_pin=True)))
    assert job.fault is not None
    assert job.fault["fault"] == Fault.PIN_POLICY
    assert card.memory.pin_hash is None


def test_the_holder_of_a_card_with_a_pin_types_it(bench: Bench) -> None:
    bench.desk.pins = ["wrong1", "my own pin"]
    card = bench.tap(SoftwareCard(Profile(pin="my own pin")))
    job = bench.finish(bench.server.send(FakeJob("enrol", own_pin=True)))
    assert job.step == "done"
    assert [question.tries for question in bench.desk.questions] == [8, 7]
    assert card.memory.pin_retries == 8


def test_no_pin_typed_is_a_cancelled_job(bench: Bench) -> None:
    bench.tap(SoftwareCard())
    job = bench.finish(bench.server.send(FakeJob("enrol", own_pin=True)))
    assert job.fault is not None
    assert job.fault["fault"] == Fault.CANCELLED_AT_DESK


def test_three_wrong_pins_are_not_four(bench: Bench) -> None:
    bench.desk.pins = ["wrong1", "wrong2", "wrong3", "wrong4"]
    card = bench.tap(SoftwareCard(Profile(pin="my own pin")))
    job = bench.finish(bench.server.send(FakeJob("enrol", own_pin=True)))
    assert job.fault is not None
    assert job.fault["fault"] == Fault.PIN_AUTH_BLOCKED
    assert bench.desk.pins == ["wrong4"]
    assert card.memory.pin_retries == 5


# Resuming


@pytest.mark.req("R20")
@pytest.mark.parametrize("executed", [False, True], ids=["before", "after"])
def test_a_card_pulled_at_any_apdu_is_finished_with_the_same_pin(
    bench: Bench, executed: bool
) -> None:
    """Each APDU in turn is the last one; the second tap ends the job, or a fault says why not."""
    last = count_apdus(bench, PIN)
    assert last > 20
    for number in range(1, last + 1):
        card = SoftwareCard(faults=Faults(die_at=number, die_executed=executed))
        bench.tap(card)
        job = bench.server.enrol(PIN)
        runs = _finish_with_taps(bench, job, card)
        where = f"APDU {number} of {last}, {'after' if executed else 'before'}: {job.story}"
        assert runs <= 2, where
        assert (job.fault, job.step, job.forced) == (None, "done", True), where
        assert accepts(card, PIN), where
        assert card.memory.force_pin_change, where
        assert card.memory.pin_retries == 8, where
        held = [one.credential_id for one in card.memory.credentials]
        assert job.credential_id in held, where
        bench.reader.remove()


def _finish_with_taps(bench: Bench, job: FakeJob, card: SoftwareCard) -> int:
    """A patient person: taps a card that left again, starts a job again; how many runs it took."""
    runs = 1
    until = time.monotonic() + 15
    while job.step != "done":
        assert time.monotonic() < until, job.story
        if bench.reader.card is None:
            card.faults = Faults()
            bench.tap(card)
        if job.ended.wait(0.02) and job.fault is not None:
            assert job.fault["fault"] == Fault.CARD_REMOVED, job.story
            bench.server.send(job)
            runs += 1
    return runs


@pytest.mark.req("R20")
def test_the_server_knows_of_the_pin_before_the_card_does(bench: Bench) -> None:
    card = bench.tap(SoftwareCard())
    job = FakeJob("enrol", pin=PIN)
    seen: list[bool] = []

    def look(path: str, body: dict[str, object]) -> None:
        if body.get("event") == "pin_setting":
            seen.append(card.memory.pin_hash is not None)

    bench.server.before = look
    bench.finish(bench.server.send(job))
    assert seen == [False]


def test_another_card_is_not_taken_for_the_first_one(bench: Bench) -> None:
    first = bench.tap(SoftwareCard(faults=Faults(die_command=0x01, die_at=1)))
    job = bench.finish(bench.server.enrol(PIN))
    other = bench.tap(SoftwareCard())
    bench.finish(bench.server.send(job))
    assert job.fault is not None
    assert job.fault["fault"] == Fault.CARD_SWAPPED
    assert other.memory.pin_hash is None
    assert job.uid == first.uid.hex()  # the server was not told of the other one
    bench.tap(first)
    assert bench.finish(bench.server.send(job)).step == "done"


def test_a_card_that_draws_its_uid_is_known_by_its_credential(bench: Bench) -> None:
    profile = Profile(random_uid=True)
    card = bench.tap(SoftwareCard(profile, Faults(die_command=0x0D, die_at=1)))
    job = bench.finish(bench.server.enrol(PIN))
    assert job.step == "registered"
    bench.tap(SoftwareCard(profile))
    bench.finish(bench.server.send(job))
    assert job.fault is not None
    assert (job.fault["fault"], job.fault["detail"]) == (
        Fault.CARD_SWAPPED,
        "it does not hold the key",
    )
    bench.tap(card)
    assert bench.finish(bench.server.send(job)).step == "done"


def test_a_pin_that_is_not_ours_costs_one_try_and_no_more(bench: Bench) -> None:
    card = bench.tap(SoftwareCard(Profile(pin="771199")))
    job = bench.finish(bench.server.enrol(PIN, step="pin_set", uid=card.uid.hex()))
    assert job.fault is not None
    assert job.fault["fault"] == Fault.PIN_PRESENT
    assert card.memory.pin_retries == 7


def test_the_last_try_is_nobody_s_to_guess_with(bench: Bench) -> None:
    card = bench.tap(SoftwareCard(Profile(pin="771199")))
    card.memory.pin_retries = 1
    job = bench.finish(bench.server.enrol(PIN, step="pin_set", uid=card.uid.hex()))
    assert job.fault is not None
    assert job.fault["fault"] == Fault.PIN_PRESENT
    assert card.memory.pin_retries == 1


def test_a_card_that_waits_for_another_pin_is_not_tried(bench: Bench) -> None:
    card = bench.tap(SoftwareCard(Profile(pin="771199")))
    card.memory.force_pin_change = True
    job = bench.finish(bench.server.enrol(PIN))
    assert job.fault is not None
    assert job.fault["fault"] == Fault.CHANGE_PENDING
    assert card.memory.pin_retries == 8


def test_a_change_that_was_forced_unheard_of_is_told_at_the_next_tap(bench: Bench) -> None:
    card = bench.tap(SoftwareCard(faults=Faults(die_command=0x0D, die_at=1, die_executed=True)))
    job = bench.finish(bench.server.enrol(PIN))
    assert (job.step, card.memory.force_pin_change) == ("registered", True)
    card.faults = Faults()
    bench.tap(card)
    bench.finish(bench.server.send(job))
    assert (job.step, job.forced) == ("done", True)
    assert "credential" not in [event["event"] for event in job.events[-3:]]


def test_a_lost_answer_to_the_credential_is_asked_for_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reader import job as job_module

    monkeypatch.setattr(job_module, "RETRY_SECONDS", (0.01,))
    lost: list[str] = []

    def lose(path: str, body: dict[str, object]) -> tuple[int, dict[str, object]] | None:
        if body.get("event") == "credential" and not lost:
            lost.append("once")
            return 503, {}
        return None

    bench.server.before = lose
    bench.tap(SoftwareCard())
    assert bench.finish(bench.server.enrol(PIN)).step == "done"
    assert lost == ["once"]


def test_a_swap_in_the_middle_of_a_job_is_seen(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that misses a swap still answers for the card that lies there now."""
    card = bench.tap(SoftwareCard())
    make = enroll._make

    def swapped(job: object, tapped: object, creation: Creation, pin: str) -> object:
        card.uid = b"\x04other!"
        return make(job, tapped, creation, pin)  # type: ignore[arg-type]

    monkeypatch.setattr(enroll, "_make", swapped)
    job = bench.finish(bench.server.enrol(PIN))
    assert job.fault is not None
    assert job.fault["fault"] == Fault.CARD_SWAPPED
    assert "credential" not in job.story


def test_two_people_s_cards_do_not_get_mixed_up(bench: Bench) -> None:
    """The finished card still lies there when the next person's job comes."""
    first = bench.tap(SoftwareCard())
    bench.finish(bench.server.enrol(PIN))
    second_job = bench.server.enrol("602418", user="Grace Hopper")
    bench.saw("remove")
    bench.reader.remove()
    second = bench.tap(SoftwareCard())
    bench.finish(second_job)
    assert second_job.step == "done"
    assert second_job.event("card")["uid"] == second.uid.hex()
    assert len(first.memory.credentials) == 1


def test_a_finished_card_that_stays_is_not_enrolled_again(bench: Bench) -> None:
    bench.tap(SoftwareCard())
    bench.finish(bench.server.enrol(PIN))
    job = bench.finish(bench.server.enrol(PIN, tap_seconds=1))
    assert job.fault is not None
    assert job.fault["fault"] == Fault.NO_CARD
    assert "card" not in job.story


def test_the_origin_is_the_stations_own(bench: Bench) -> None:
    """R23: whatever the options say, clientDataJSON names the pinned origin."""
    from reader.identity import unb64url

    bench.tap(SoftwareCard())
    options = {"origin": "https://evil.example"}
    job = bench.finish(bench.server.enrol(PIN, options=options))
    client_data = json.loads(
        unb64url(job.event("credential")["response"]["response"]["clientDataJSON"])
    )
    assert client_data["origin"] == bench.identity.origin
    assert client_data["crossOrigin"] is False
    assert replace(bench.identity).origin == bench.server.origin


def test_the_desk_names_the_model_as_the_server_does(bench: Bench) -> None:
    card = bench.tap(SoftwareCard())
    reply = {"go": True, "model": "Maker's card \x1b[2J"}
    bench.finish(bench.server.enrol(PIN, replies={"card": reply}))
    uid = card.uid.hex().upper()
    assert bench.saw("done").card == f"Maker's card \x1b[2J, UID {uid}"
    bench.reader.remove()
    bench.tap(SoftwareCard())
    refused = {"go": False, "reason": "pin_present", "model": "Maker's card"}
    bench.finish(bench.server.enrol(PIN, replies={"card": refused}))
    assert bench.saw("cancelled").card.startswith("Maker's card, UID ")
