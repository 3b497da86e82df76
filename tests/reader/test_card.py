# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fido2 import cbor
from fido2.ctap import STATUS, CtapDevice
from fido2.hid import CAPABILITY
from hypothesis import given, settings
from hypothesis import strategies as st

from reader.card import Card
from reader.ceremony import Creation, Request
from reader.faults import CardFault, Fault
from reader.identity import b64url, unb64url
from reader.simulator.card import SoftwareCard
from reader.simulator.device import SoftwareDevice
from reader.simulator.profile import CTAP_2_0, JAVACARD, U2F_ONLY, Faults, Profile

RP = "example.com"
ORIGIN = "https://example.com"
PIN = "482915"


def creation(user: bytes = b"ada", **options: Any) -> Creation:
    return Creation(
        {
            "rp": {"id": RP, "name": "Example"},
            "user": {"id": b64url(user), "name": "ada", "displayName": "Ada"},
            "challenge": b64url(secrets.token_bytes(32)),
            "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
            "authenticatorSelection": {"residentKey": "required", "userVerification": "required"},
            **options,
        },
        ORIGIN,
    )


def request(*allow: bytes, **options: Any) -> Request:
    listed = [{"type": "public-key", "id": b64url(one)} for one in allow]
    challenge = b64url(secrets.token_bytes(32))
    given = {"rpId": RP, "challenge": challenge, "allowCredentials": listed}
    return Request({**given, **options}, ORIGIN)


def card_of(software: SoftwareCard) -> Card:
    return Card(SoftwareDevice(software))


def make(card: Card, user: bytes = b"ada") -> bytes:
    return unb64url(card.make_credential(creation(user), PIN)["rawId"])


def word(work: Callable[[], object]) -> Fault:
    with pytest.raises(CardFault) as fault:
        work()
    return fault.value.word


@pytest.fixture
def software() -> SoftwareCard:
    return SoftwareCard()


@pytest.fixture
def card(software: SoftwareCard) -> Card:
    card = card_of(software)
    card.set_pin(PIN)
    return card


def test_a_u2f_card_is_refused() -> None:
    assert word(lambda: card_of(SoftwareCard(U2F_ONLY))) is Fault.U2F_ONLY


def test_the_facts_of_a_fresh_card() -> None:
    facts = card_of(SoftwareCard()).facts(RP)
    assert (facts.client_pin, facts.pin_retries, facts.known) == (False, None, ())
    assert facts.can_force_change
    assert not facts.force_pin_change


def test_the_facts_of_a_card_in_use(card: Card) -> None:
    mine, yours = make(card, b"ada"), make(card, b"grace")
    facts = card.facts(RP)
    assert (facts.client_pin, facts.pin_retries) == (True, 8)
    assert set(facts.known) == {mine, yours}
    assert card.facts("other.example").known == ()


def test_the_facts_of_a_card_that_waits_for_another_pin(card: Card) -> None:
    mine = make(card)
    assert card.force_change(PIN, 6)
    facts = card.facts(RP)
    assert (facts.force_pin_change, facts.min_pin_length, facts.known) == (True, 6, (mine,))


@pytest.mark.parametrize(
    ("profile", "can"),
    [
        (Profile(), True),
        (CTAP_2_0, False),
        (JAVACARD, True),
        (Profile(authnr_cfg=False), False),
        (Profile(set_min_pin_length=False), False),
    ],
    ids=["2.1", "2.0", "java", "no-config", "no-length"],
)
def test_which_cards_can_force_a_change(profile: Profile, can: bool) -> None:
    card = card_of(SoftwareCard(profile))
    card.set_pin(PIN)
    assert card.can_force_change is can
    assert card.force_change(PIN, 6) is can


def test_a_minimum_length_is_never_lowered() -> None:
    card = card_of(SoftwareCard(Profile(min_pin_length=8)))
    card.set_pin("long enough")
    assert card.force_change("long enough", 6)
    assert card.info.min_pin_length == 8


# The PIN


@pytest.mark.parametrize(
    "profile", [Profile(pin="1111"), Profile(pin="1111", set_pin_twice_error=0x36)]
)
def test_a_pin_is_set_once(profile: Profile) -> None:
    card = card_of(SoftwareCard(profile))
    assert word(lambda: card.set_pin(PIN)) is Fault.PIN_PRESENT


@pytest.mark.parametrize("error", [0x33, 0x36, 0x30])
def test_a_card_that_says_by_its_error_that_it_has_a_pin(
    monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """options.clientPin is looked at first; a card that hides it there tells it here."""
    software = SoftwareCard(Profile(pin="1111", set_pin_twice_error=error))
    monkeypatch.setattr(Card, "has_pin", property(lambda self: False))
    assert word(lambda: card_of(software).set_pin(PIN)) is Fault.PIN_PRESENT


def test_a_card_without_pins_is_no_use() -> None:
    card = card_of(SoftwareCard(Profile(client_pin=False)))
    assert word(lambda: card.set_pin(PIN)) is Fault.UNSUPPORTED
    assert word(lambda: card.make_credential(creation(), PIN)) is Fault.UNSUPPORTED


@pytest.mark.parametrize(
    ("pin", "fault"),
    [
        ("123", Fault.PIN_TOO_SHORT),
        ("12345", Fault.PIN_TOO_SHORT),
        ("é" * 5, Fault.PIN_TOO_SHORT),
        ("e\u0301" * 5, Fault.PIN_TOO_SHORT),
        ("x" * 64, Fault.PIN_POLICY),
        ("é" * 32, Fault.PIN_POLICY),
    ],
)
def test_a_pin_that_the_card_cannot_take_is_not_sent(pin: str, fault: Fault) -> None:
    software = SoftwareCard(Profile(min_pin_length=6))
    assert word(lambda: card_of(software).set_pin(pin)) is fault
    assert software.memory.pin_hash is None


def test_a_pin_is_the_same_however_its_accents_were_typed() -> None:
    card = card_of(SoftwareCard())
    card.set_pin("cafe\u0301s")
    card.make_credential(creation(), "caf\u00e9s")


def test_one_wrong_pin_costs_one_try(card: Card, software: SoftwareCard) -> None:
    assert word(lambda: card.make_credential(creation(), "000000")) is Fault.PIN_INVALID
    assert software.memory.pin_retries == 7
    assert word(lambda: card.get_assertion(request(), "000000")) is Fault.PIN_INVALID
    assert software.memory.pin_retries == 6
    assert word(lambda: card.change_pin("000000", "another")) is Fault.PIN_AUTH_BLOCKED
    assert software.memory.pin_retries == 5


def test_the_eighth_wrong_pin_blocks(card: Card, software: SoftwareCard) -> None:
    software.memory.pin_retries = 1
    assert word(lambda: card.make_credential(creation(), "000000")) is Fault.PIN_BLOCKED
    assert card.pin_retries() == 0


@pytest.mark.parametrize("error", [0x31, 0x37])
def test_no_try_is_spent_while_a_change_is_forced(error: int) -> None:
    """Asked for a token then, cards answer the right PIN with either error."""
    software = SoftwareCard(Profile(forced_change_error=error))
    card = card_of(software)
    card.set_pin(PIN)
    card.force_change(PIN, 6)
    for work in (
        lambda: card.make_credential(creation(), PIN),
        lambda: card.get_assertion(request(), PIN),
        lambda: card.force_change(PIN, 6),
    ):
        assert word(work) is Fault.CHANGE_PENDING
    assert software.memory.pin_retries == 8


def test_a_change_that_began_after_the_look_is_understood(
    card: Card, software: SoftwareCard
) -> None:
    software.memory.force_pin_change = True
    assert word(lambda: card.make_credential(creation(), PIN)) is Fault.CHANGE_PENDING


@pytest.mark.parametrize("profile", [Profile(), JAVACARD], ids=["2.1", "java"])
def test_the_same_pin_is_no_change(profile: Profile) -> None:
    card = card_of(SoftwareCard(profile))
    card.set_pin(PIN)
    card.force_change(PIN, 6)
    assert word(lambda: card.change_pin(PIN, PIN)) is Fault.PIN_POLICY
    card.change_pin(PIN, "another")
    assert not card.info.force_pin_change


# Credentials


@pytest.mark.parametrize("profile", [Profile(), CTAP_2_0, JAVACARD], ids=["2.1", "2.0", "java"])
def test_a_key_is_made_and_signs(profile: Profile) -> None:
    card = card_of(SoftwareCard(profile))
    card.set_pin(PIN)
    mine = make(card)
    for asked in (request(mine), request()):
        response = card.get_assertion(asked, PIN)
        assert unb64url(response["rawId"]) == mine


def test_the_response_tells_how_the_card_is_reached(card: Card) -> None:
    response = card.make_credential(creation(), PIN)
    assert response["response"]["transports"] == ["nfc"]
    assert response["clientExtensionResults"] == {"credProps": {"rk": True}}
    assert response["authenticatorAttachment"] == "cross-platform"


def test_an_excluded_key_is_found(card: Card) -> None:
    mine = make(card)
    exclude = [{"type": "public-key", "id": b64url(mine)}]
    work = creation(b"grace", excludeCredentials=exclude)
    assert word(lambda: card.make_credential(work, PIN)) is Fault.ALREADY_ENROLLED


@pytest.mark.parametrize("count", [1, 8, 9, 40])
def test_which_keys_are_held_however_many_are_asked_for(card: Card, count: int) -> None:
    mine, yours = make(card, b"ada"), make(card, b"grace")
    others = [secrets.token_bytes(32) for _ in range(count)]
    assert card.held(RP, [*others, mine, yours]) == (mine, yours)
    assert card.held(RP, others) == ()
    assert card.held("other.example", [mine]) == ()


def test_one_of_many_allowed_keys_signs(card: Card) -> None:
    mine = make(card)
    others = [secrets.token_bytes(32) for _ in range(40)]
    response = card.get_assertion(request(*others, mine), PIN)
    assert unb64url(response["rawId"]) == mine


def test_no_pin_is_sent_when_none_of_many_keys_is_there(card: Card, software: SoftwareCard) -> None:
    others = [secrets.token_bytes(32) for _ in range(40)]
    assert word(lambda: card.get_assertion(request(*others), "000000")) is Fault.NO_CREDENTIAL
    assert software.memory.pin_retries == 8


def test_a_card_with_no_key_for_the_site_says_so(card: Card) -> None:
    assert word(lambda: card.get_assertion(request(), PIN)) is Fault.NO_CREDENTIAL


def test_a_hidden_key_is_left_to_the_card(card: Card) -> None:
    """credProtect 3: the card shows it to nobody before the PIN, so a look finds nothing."""
    hidden = creation(extensions={"credentialProtectionPolicy": "userVerificationRequired"})
    mine = unb64url(card.make_credential(hidden, PIN)["rawId"])
    assert card.known_credentials(RP) == ()
    assert card.held(RP, [mine]) == ()
    assert unb64url(card.get_assertion(request(mine), PIN)["rawId"]) == mine
    two = request(secrets.token_bytes(32), mine)
    assert unb64url(card.get_assertion(two, PIN)["rawId"]) == mine


def test_a_card_that_always_wants_its_pin_is_looked_at_all_the_same() -> None:
    card = card_of(SoftwareCard(Profile(always_uv=True)))
    card.set_pin(PIN)
    mine = make(card)
    assert card.known_credentials(RP) == (mine,)
    assert card.held(RP, [mine]) == (mine,)


def test_a_full_card_says_so() -> None:
    card = card_of(SoftwareCard(Profile(resident_credentials=1)))
    card.set_pin(PIN)
    make(card, b"ada")
    assert word(lambda: make(card, b"grace")) is Fault.STORAGE_FULL


def test_an_algorithm_that_the_card_lacks_is_no_card_error(card: Card) -> None:
    other = creation(pubKeyCredParams=[{"type": "public-key", "alg": -257}])
    assert word(lambda: card.make_credential(other, PIN)) is Fault.UNSUPPORTED


@pytest.mark.parametrize(
    "options",
    [
        {"rp": None},
        {"rp": {"name": "no id"}},
        {"challenge": 7},
        {"pubKeyCredParams": "all"},
        {"excludeCredentials": [7]},
        {"authenticatorSelection": "any"},
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_a_fault_and_no_crash(options: dict[str, Any]) -> None:
    assert word(lambda: creation(**options)) is Fault.REFUSED_TICKET


def test_a_reset_wipes_in_time_only(software: SoftwareCard) -> None:
    now = [0.0]
    software = SoftwareCard(clock=lambda: now[0])
    card = card_of(software)
    card.set_pin(PIN)
    now[0] = 11.0
    assert word(card.reset) is Fault.RESET_TOO_LATE
    software.power_off()
    card = card_of(software)
    card.reset()
    assert software.memory.pin_hash is None


# Cards that answer nonsense


class Parrot(CtapDevice):
    """Answers getInfo well at first, then whatever it was given."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)

    @property
    def capabilities(self) -> int:
        return CAPABILITY.CBOR

    def call(
        self,
        cmd: int,
        data: bytes = b"",
        event: threading.Event | None = None,
        on_keepalive: Callable[[STATUS], None] | None = None,
    ) -> bytes:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    @classmethod
    def list_devices(cls) -> Iterator[CtapDevice]:
        return iter(())


GOOD_INFO = b"\0" + cbor.encode(
    {
        1: ["FIDO_2_1"],
        3: b"\1" * 16,
        4: {"clientPin": True, "rk": True, "pinUvAuthToken": True},
        6: [2],
    }
)


def every_use() -> list[Callable[[Card], object]]:
    return [
        lambda card: card.facts(RP),
        lambda card: card.held(RP, [b"1", b"2"]),
        lambda card: card.make_credential(creation(), PIN),
        lambda card: card.get_assertion(request(b"1"), PIN),
        lambda card: card.change_pin(PIN, "another"),
        lambda card: card.force_change(PIN, 6),
        lambda card: card.reset(),
        lambda card: card.refresh(),
    ]


cbor_values = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63) | st.binary(max_size=40) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.integers(-3, 33), inner, max_size=5)
    ),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(answer=st.binary(max_size=60) | cbor_values.map(lambda value: b"\0" + cbor.encode(value)))
def test_whatever_a_card_answers_only_a_card_fault_comes_of_it(answer: bytes) -> None:
    with contextlib.suppress(CardFault):
        Card(Parrot(answer)).facts(RP)
    for use in every_use():
        with contextlib.suppress(CardFault):
            use(Card(Parrot(GOOD_INFO, answer)))


@settings(max_examples=60, deadline=None)
@given(
    info=st.dictionaries(st.integers(1, 32), cbor_values, max_size=8),
)
def test_whatever_getinfo_says_only_a_card_fault_comes_of_it(info: dict[int, Any]) -> None:
    answer = b"\0" + cbor.encode({1: ["FIDO_2_1"], 3: b"\1" * 16, **info})
    try:
        card = Card(Parrot(answer))
    except CardFault:
        return
    for use in every_use():
        with contextlib.suppress(CardFault):
            use(card)


@pytest.mark.parametrize("code", [*range(1, 0x41), 0x7F, 0xDF, 0xE0, 0xFF])
def test_every_status_byte_has_a_fault(code: int) -> None:
    faults = []
    for use in every_use():
        try:
            use(Card(Parrot(GOOD_INFO, bytes([code]))))
        except CardFault as fault:
            faults.append(fault)
    assert len(faults) >= 5
    assert not [fault for fault in faults if fault.word is Fault.GARBAGE]
    assert {f"0x{code:02X}" in fault.detail for fault in faults} == {True}


def test_a_stray_byte_is_garbage() -> None:
    assert word(lambda: card_of(SoftwareCard(faults=Faults(garbage=True)))) is Fault.GARBAGE


def test_the_words_of_a_status_byte_reach_the_detail() -> None:
    card = Card(Parrot(GOOD_INFO, bytes([0x12])))
    with pytest.raises(CardFault, match="INVALID_CBOR"):
        card.reset()
