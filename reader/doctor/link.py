# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The way from a reader to the card on it: long commands and answers, and how long they take.

Only commands that read: getInfo and getPINRetries, the UID, SELECT.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

from reader.card_reader import CardReader, CardSession, ReaderState
from reader.doctor.finding import Finding
from reader.faults import CardFault

_SELECT = bytes.fromhex("00A4040008A0000006472F000100")
_GET_INFO = b"\x04"
_PIN_RETRIES = bytes.fromhex("06A201010201")  # clientPIN {1: 1, 2: getPINRetries}
_GET_UID = bytes.fromhex("FFCA000000")
_OK, _MORE = 0x9000, 0x61
_SLOW_MS, _PACES = 50.0, 9


def examine(reader: CardReader) -> Iterator[Finding]:
    """Raises nothing: what does not work is a finding."""
    state = reader.state()
    name = reader.name
    yield Finding("reader", True, f"Reader: {name}.", reader=name)
    yield _polling(reader)
    if state is not ReaderState.CARD:
        return
    try:
        session = reader.wait_for_card(3.0, lambda: False)
    except CardFault:
        return  # said of the card
    try:
        yield _latency(name, session)
        if session.transmit(_SELECT)[1] == _OK:
            yield from _messages(name, session)
    except CardFault as fault:
        mend = "lay it on again, flat; another reader if it stays so"
        yield Finding("link", False, fault.sentence, mend, reader=name)
    finally:
        session.close()


def _polling(reader: CardReader) -> Finding:
    took = []
    for _ in range(_PACES):
        began = time.perf_counter()
        reader.state()
        took.append((time.perf_counter() - began) * 1000)
    text = f"Looking whether a card lies there takes {median(took):.1f} ms."
    return Finding("polling", True, text, reader=reader.name)


def _latency(name: str, session: CardSession) -> Finding:
    took = []
    for _ in range(_PACES):
        began = time.perf_counter()
        session.transmit(_GET_UID)
        took.append((time.perf_counter() - began) * 1000)
    pace = median(took)
    text = f"A short command takes {pace:.1f} ms."
    if pace > _SLOW_MS:
        mend = "plug the reader into the computer itself instead of a hub"
        return Finding("latency", None, text, mend, reader=name)
    return Finding("latency", True, text, reader=name)


def _messages(name: str, session: CardSession) -> Iterator[Finding]:
    short, word = _short(session, _GET_INFO)
    if word != _OK or short[:1] != b"\x00":
        return  # no FIDO2: said of the card
    extended, word = session.transmit(_extended(_GET_INFO))
    same = word == _OK and extended == short
    yield Finding(
        "extended",
        True if same else None,
        "Extended APDUs pass." if same else "Extended APDUs do not pass; short ones are used.",
        reader=name,
    )
    half = len(_PIN_RETRIES) // 2
    _, first = session.transmit(_command(0x90, _PIN_RETRIES[:half]))
    answer, word = _short(session, _PIN_RETRIES[half:]) if first == _OK else (b"", first)
    chained = word == _OK and answer[:1] in (b"\x00", b"\x35")  # its tries, or PIN_NOT_SET
    yield Finding(
        "chaining",
        chained,
        "Chained commands pass." if chained else "Chained commands do not pass.",
        "" if chained else "use another reader, or another card: keys cannot be made like this",
        reader=name,
    )
    long = len(short) > 256
    text = f"An answer of {len(short)} bytes comes whole"
    text += "." if long else "; this card has no longer one to show more."
    yield Finding("long_replies", True if long else None, text, reader=name)


def _command(cla: int, data: bytes) -> bytes:
    return bytes([cla, 0x10, 0, 0, len(data)]) + data


def _extended(data: bytes) -> bytes:
    return bytes([0x80, 0x10, 0, 0, 0]) + len(data).to_bytes(2, "big") + data + b"\x00\x00"


def _short(session: CardSession, data: bytes) -> tuple[bytes, int]:
    """One message in a short APDU, its answer gathered (ISO 7816-4 GET RESPONSE)."""
    answer, word = session.transmit(_command(0x80, data) + b"\x00")
    while word >> 8 == _MORE:
        part, word = session.transmit(bytes([0x00, 0xC0, 0, 0, word & 0xFF]))
        if not part:
            break
        answer += part
    return answer, word
