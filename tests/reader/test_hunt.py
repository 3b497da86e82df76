# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest

from reader import hunt as module
from reader.faults import CardFault, Fault
from reader.hunt import Hunt


class Opened:
    def __init__(self, refusal: Fault | None = None) -> None:
        self.refusal = CardFault(refusal) if refusal else None
        self.closed = False

    def close(self) -> None:
        self.closed = True


GOOD, BADGE = Opened(), Opened(Fault.NOT_FIDO)


def hunt(furniture: set[str] | None = None, **cards: Opened | Fault) -> Hunt[Opened]:
    def open_card(reader: str) -> Opened:
        card = cards[reader]
        if isinstance(card, Fault):
            raise CardFault(card)
        return card

    return Hunt(open_card, furniture or set())


def said(found: Opened | CardFault) -> Fault:
    assert isinstance(found, CardFault)
    return found.word


def test_nothing_there() -> None:
    assert said(hunt().look({}, any_reader=True)) is Fault.NO_CARD
    assert said(hunt().look({}, any_reader=False)) is Fault.NO_READER


def test_the_card_that_lies_there_is_meant_even_if_it_is_of_no_use() -> None:
    assert hunt(a=GOOD).look({"a": "a:1"}, any_reader=True) is GOOD
    assert hunt(a=BADGE).look({"a": "a:1"}, any_reader=True) is BADGE


def test_furniture_of_no_use_is_passed_over_for_a_card() -> None:
    badge = Opened(Fault.NOT_FIDO)
    looking = hunt({"a:1"}, a=badge, b=GOOD)
    first = looking.look({"a": "a:1"}, any_reader=True)
    assert said(first) is Fault.NO_CARD
    assert badge.closed
    again = looking.look({"a": "a:1"}, any_reader=True)
    assert isinstance(again, CardFault)
    assert again.detail == "a holds a card without FIDO2"
    assert looking.look({"a": "a:1", "b": "b:1"}, any_reader=True) is GOOD


def test_furniture_that_is_tapped_anew_is_meant() -> None:
    assert hunt({"a:1"}, a=BADGE).look({"a": "a:2"}, any_reader=True) is BADGE


def test_furniture_that_is_a_key_may_be_meant() -> None:
    assert hunt({"a:1"}, a=GOOD).look({"a": "a:1"}, any_reader=True) is GOOD


def test_furniture_in_other_hands_ends_no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", {})
    looking = hunt({"a:1"}, a=Fault.CARD_BUSY, b=GOOD)
    assert said(looking.look({"a": "a:1"}, any_reader=True)) is Fault.CARD_BUSY
    assert looking.look({"a": "a:1", "b": "b:1"}, any_reader=True) is GOOD


@pytest.mark.parametrize("fault", [Fault.CARD_MUTE, Fault.CARD_BUSY])
def test_a_card_just_tapped_gets_a_moment(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    looking = hunt(a=fault)
    assert said(looking.look({"a": "a:1"}, any_reader=True)) is fault
    monkeypatch.setattr(module, "_PATIENCE", {fault: -1.0})
    with pytest.raises(CardFault) as ended:
        looking.look({"a": "a:1"}, any_reader=True)
    assert ended.value.word is fault


def test_a_card_that_was_gone_again_is_waited_for() -> None:
    looking = hunt(a=Fault.CARD_REMOVED)
    assert said(looking.look({"a": "a:1"}, any_reader=True)) is Fault.NO_CARD


@pytest.mark.parametrize("fault", [Fault.TIMEOUT, Fault.NOT_ALLOWED, Fault.GARBAGE])
def test_other_faults_end_the_wait(fault: Fault) -> None:
    with pytest.raises(CardFault) as ended:
        hunt(a=fault).look({"a": "a:1"}, any_reader=True)
    assert ended.value.word is fault


def test_of_two_cards_just_tapped_neither_is_meant() -> None:
    looking = hunt(a=GOOD, b=GOOD)
    assert said(looking.look({"a": "a:1", "b": "b:1"}, any_reader=True)) is Fault.TWO_CARDS
    assert looking.look({"b": "b:1"}, any_reader=True) is GOOD


def test_a_card_just_tapped_goes_before_one_that_lay_there() -> None:
    old, new = Opened(), Opened()
    looking = Hunt({"a": old, "b": new}.__getitem__, set(), {"a:1"})
    assert looking.look({"a": "a:1", "b": "b:1"}, any_reader=True) is new
    looking = Hunt({"a": old, "b": new}.__getitem__, {"a:1"})
    assert looking.look({"a": "a:1", "b": "b:1"}, any_reader=True) is new
    assert looking.look({"a": "a:1"}, any_reader=True) is old
