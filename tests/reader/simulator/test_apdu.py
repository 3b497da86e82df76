# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader.simulator.apdu import Command, MalformedApdu

HEADER = bytes.fromhex("80100000")


@pytest.mark.parametrize(
    ("body", "data", "le"),
    [
        ("", "", 256),
        ("00", "", 256),
        ("20", "", 32),
        ("02AABB", "AABB", 256),
        ("02AABB10", "AABB", 16),
        ("000000", "", 65536),
        ("000100", "", 256),
        ("000002AABB", "AABB", 65536),
        ("000002AABB0010", "AABB", 16),
    ],
)
def test_every_case_of_iso_7816_4_is_read(body: str, data: str, le: int) -> None:
    command = Command.parse(HEADER + bytes.fromhex(body))
    assert (command.data, command.le) == (bytes.fromhex(data), le)


@pytest.mark.parametrize("body", ["02AA", "02AABBCCDD", "000002AA", "000002AABBCC", "0000"])
def test_lengths_that_do_not_add_up_are_malformed(body: str) -> None:
    with pytest.raises(MalformedApdu):
        Command.parse(HEADER + bytes.fromhex(body))


@given(st.binary(min_size=1, max_size=255))
def test_short_and_extended_forms_say_the_same(data: bytes) -> None:
    short = Command.parse(HEADER + bytes([len(data)]) + data)
    extended = Command.parse(HEADER + b"\0" + len(data).to_bytes(2, "big") + data)
    assert short.data == extended.data == data


@given(st.binary(max_size=300))
def test_any_bytes_are_a_command_or_malformed(apdu: bytes) -> None:
    try:
        command = Command.parse(apdu)
    except MalformedApdu:
        return
    assert apdu[:4] == bytes([command.cla, command.ins, command.p1, command.p2])
    assert command.data in apdu
