# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""The APDU front, seen from the reader's side byte by byte."""

import pytest
from fido2 import cbor
from hypothesis import given, settings
from hypothesis import strategies as st

from reader.simulator import BADGE, CTAP_2_0, U2F_ONLY, CardRemoved, Profile, SoftwareCard
from reader.simulator.card import FIDO_AID

SELECT = b"\x00\xa4\x04\x00\x08" + FIDO_AID + b"\x00"
GET_UID = bytes.fromhex("FFCA000000")
GET_INFO = bytes.fromhex("80100000010400")


def in_the_field(profile: Profile | None = None, *, selected: bool = True) -> SoftwareCard:
    card = SoftwareCard(profile)
    card.power_on()
    if selected:
        assert card.transmit(SELECT)[-2:] == b"\x90\x00"
    return card


def test_the_reader_command_gives_the_uid_even_before_select() -> None:
    card = in_the_field(selected=False)
    assert card.transmit(GET_UID) == card.uid + b"\x90\x00"
    assert len(card.uid) == 7


def test_a_card_keeps_its_uid_over_taps() -> None:
    card = in_the_field()
    before = card.uid
    card.power_off()
    card.power_on()
    assert card.uid == before


def test_a_random_uid_is_new_at_each_tap() -> None:
    card = in_the_field(Profile(random_uid=True))
    seen = set()
    for _ in range(4):
        card.power_on()
        uid = card.transmit(GET_UID)[:-2]
        assert len(uid) == 4
        assert uid[0] == 0x08
        seen.add(uid)
    assert len(seen) > 1


def test_select_names_the_version() -> None:
    assert in_the_field(selected=False).transmit(SELECT) == b"FIDO_2_0\x90\x00"
    assert in_the_field(U2F_ONLY, selected=False).transmit(SELECT) == b"U2F_V2\x90\x00"


@pytest.mark.parametrize(
    ("apdu", "status"),
    [
        ("00A404000A A0000003080000100001 00", "6A82"),
        ("00A4000008 A0000006472F0001 00", "6A86"),
        ("80A404000100", "6D00"),
        ("8010", "6700"),
        ("80100000FF04", "6700"),
        ("80990000", "6D00"),
        ("00030000", "6D00"),
        ("A0100000010400", "6E00"),
        ("0CA40000", "6E00"),
        ("00C0000000", "6985"),
        ("8011000000", "6985"),
        ("FFCA010000", "6A81"),
        ("FF00480000", "6A81"),
    ],
)
def test_wrong_commands_get_the_right_status_word(apdu: str, status: str) -> None:
    assert in_the_field().transmit(bytes.fromhex(apdu)).hex().upper() == status


def test_ctap_needs_a_selection() -> None:
    card = in_the_field(selected=False)
    assert card.transmit(GET_INFO) == bytes.fromhex("6D00")


def test_selecting_another_application_deselects() -> None:
    card = in_the_field()
    card.transmit(bytes.fromhex("00A404000AA000000308000010000100"))
    assert card.transmit(GET_INFO) == bytes.fromhex("6D00")


def test_the_control_command_deselects() -> None:
    card = in_the_field()
    assert card.transmit(bytes.fromhex("80120100")) == b"\x90\x00"
    assert card.transmit(GET_INFO) == bytes.fromhex("6D00")


def test_a_plain_badge_has_a_uid_and_nothing_else() -> None:
    card = in_the_field(BADGE, selected=False)
    assert card.transmit(GET_UID)[-2:] == b"\x90\x00"
    assert card.transmit(SELECT) == bytes.fromhex("6A82")
    assert card.transmit(GET_INFO) == bytes.fromhex("6D00")
    assert card.atr.hex().upper() == "3B8F8001804F0CA000000306030001000000006A"


def test_a_u2f_card_tells_its_version_and_refuses_ctap2() -> None:
    card = in_the_field(U2F_ONLY)
    assert card.transmit(bytes.fromhex("0003000000")) == b"U2F_V2\x90\x00"
    assert card.transmit(GET_INFO) == bytes.fromhex("6D00")


def test_a_long_answer_comes_in_parts() -> None:
    card = in_the_field()
    answer = card.transmit(GET_INFO)
    assert len(answer) == 258
    assert answer[-2] == 0x61
    body = answer[:-2]
    while answer[-2] == 0x61:
        answer = card.transmit(b"\x00\xc0\x00\x00" + answer[-1:])
        body += answer[:-2]
    assert answer[-2:] == b"\x90\x00"
    assert body == card.transmit(bytes.fromhex("80100000000001040000"))[:-2]
    assert body[0] == 0
    assert cbor.decode(body[1:])[1] == ["FIDO_2_0", "FIDO_2_1"]


def test_another_command_drops_the_rest_of_an_answer() -> None:
    card = in_the_field()
    card.transmit(GET_INFO)
    card.transmit(bytes.fromhex("80990000"))
    assert card.transmit(bytes.fromhex("00C0000000")) == bytes.fromhex("6985")


def test_a_short_le_splits_the_answer_there() -> None:
    card = in_the_field(CTAP_2_0)
    whole = card.transmit(GET_INFO)[:-2]
    first = card.transmit(GET_INFO[:-1] + b"\x10")
    assert first == whole[:16] + bytes([0x61, len(whole) - 16])


def test_a_chain_is_one_message() -> None:
    card = in_the_field()
    whole = card.transmit(GET_INFO)
    assert card.transmit(bytes.fromhex("9010000001") + b"\x04") == b"\x90\x00"
    assert card.transmit(bytes.fromhex("8010000000")) == whole


def test_a_chain_ends_when_another_command_breaks_in() -> None:
    card = in_the_field()
    card.transmit(bytes.fromhex("9010000001") + b"\x06")
    assert card.transmit(GET_UID)[-2:] == b"\x90\x00"
    card.transmit(SELECT)
    assert card.transmit(GET_INFO)[0] == 0


def test_a_chain_without_end_is_too_large_and_takes_no_memory() -> None:
    card = in_the_field()
    for _ in range(300):
        card.transmit(bytes.fromhex("90100000FA") + b"\x04" * 250)
    assert card.transmit(bytes.fromhex("80100000010400")) == b"\x39\x90\x00"


def test_keep_alives_precede_the_answer_when_the_reader_can_poll() -> None:
    card = in_the_field(Profile(keep_alives=2))
    polling = bytes.fromhex("80108000010400")
    poll = bytes.fromhex("8011000000")
    assert card.transmit(polling) == bytes.fromhex("019100")
    assert card.transmit(poll) == bytes.fromhex("019100")
    assert card.transmit(poll)[0] == 0
    assert card.transmit(GET_INFO)[0] == 0


def test_a_poll_can_cancel() -> None:
    card = in_the_field(Profile(keep_alives=9))
    card.transmit(bytes.fromhex("80108000010400"))
    assert card.transmit(bytes.fromhex("8011110000")) == bytes.fromhex("2D9000")
    assert card.transmit(bytes.fromhex("8011000000")) == bytes.fromhex("6985")


def test_no_power_no_answer() -> None:
    card = SoftwareCard()
    with pytest.raises(CardRemoved):
        card.transmit(GET_UID)
    card.power_on()
    card.transmit(SELECT)
    card.power_off()
    card.power_on()
    assert card.transmit(GET_INFO) == bytes.fromhex("6D00")


PROFILES = st.sampled_from([Profile(), CTAP_2_0, U2F_ONLY, BADGE, Profile(keep_alives=1)])
COMMANDS = st.one_of(
    st.just(SELECT),
    st.just(GET_UID),
    st.just(GET_INFO),
    st.binary(max_size=40),
    # Well-formed APDUs with any CTAP message in them, whole or as a link of a chain.
    st.builds(
        lambda cla, ins, data: bytes([cla, ins, 0x80, 0, len(data)]) + data + b"\0",
        st.sampled_from([0x80, 0x90, 0x00]),
        st.sampled_from([0x10, 0x11, 0x12, 0xA4, 0xC0]),
        st.binary(min_size=1, max_size=120),
    ),
)


@given(PROFILES, st.lists(COMMANDS, max_size=12))
@settings(max_examples=80, deadline=None)
def test_whatever_comes_the_card_answers_with_a_status_word(
    profile: Profile, apdus: list[bytes]
) -> None:
    card = in_the_field(profile, selected=False)
    for apdu in [SELECT, *apdus]:
        answer = card.transmit(apdu)
        assert len(answer) >= 2
        assert answer[-2] in (0x90, 0x91, 0x61) or answer[-2] >> 4 == 6


VALUES = st.recursive(
    st.one_of(st.integers(-(2**63), 2**63), st.booleans(), st.binary(max_size=40), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.integers(-4, 12), st.text(max_size=4)), inner, max_size=3),
    ),
    max_leaves=8,
)


@given(
    st.integers(0, 255),
    st.dictionaries(st.integers(0, 12), st.one_of(VALUES, st.integers(0, 10)), max_size=8),
)
@settings(max_examples=120, deadline=None)
def test_whatever_cbor_comes_the_authenticator_answers_a_known_status(
    command: int, members: dict[int, object]
) -> None:
    card = in_the_field(Profile(pin="274916"))
    answer = card.authenticator.handle(bytes([command]) + cbor.encode(members))
    assert answer[0] < 0x80
    if len(answer) > 1:
        assert answer[0] == 0
        assert cbor.encode(cbor.decode(answer[1:])) == answer[1:]


@given(st.binary(max_size=60))
def test_garbage_for_cbor_is_refused(garbage: bytes) -> None:
    card = in_the_field()
    assert card.authenticator.handle(b"\x01" + garbage)[0] != 0


def test_deep_nesting_is_refused() -> None:
    card = in_the_field()
    assert card.authenticator.handle(b"\x01" + b"\x81" * 1100) == b"\x12"
