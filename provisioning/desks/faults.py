# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What can go wrong at a reader: each fault with its own sentence and what to do next.

The words come from the station program (its protocol's `fault` event); faults that a new tap can
mend say "Try again", the others ask for another card or for a reset.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique

from flask_babel import lazy_gettext as _l


@unique
class Next(StrEnum):
    """What the panel offers after a fault."""

    TRY_AGAIN = "try_again"
    OTHER_CARD = "other_card"
    OWN_PIN = "own_pin"
    KEEP_BADGE = "keep_badge"
    RESET = "reset"
    CHANGE_PIN = "change_pin"
    MEND_STATION = "mend_station"


@dataclass(frozen=True)
class Fault:
    """A fault's word, its sentence for people, and the steps that help, best first."""

    word: str
    sentence: object
    steps: tuple[Next, ...]


def _fault(word: str, sentence: object, *steps: Next) -> tuple[str, Fault]:
    return word, Fault(word, sentence, steps)


FAULTS: dict[str, Fault] = dict(
    [
        _fault(
            "no_service",
            _l("The smart card service is not running on the station's computer."),
            Next.MEND_STATION,
            Next.TRY_AGAIN,
        ),
        _fault(
            "no_reader",
            _l("No reader is connected to the station."),
            Next.MEND_STATION,
            Next.TRY_AGAIN,
        ),
        _fault("no_card", _l("No card was tapped in time."), Next.TRY_AGAIN),
        _fault(
            "not_fido",
            _l("This card has no FIDO2 application. It is an identifier, not a key."),
            Next.OTHER_CARD,
            Next.KEEP_BADGE,
        ),
        _fault(
            "u2f_only",
            _l("This card knows only the older U2F, which has no PIN. A FIDO2 card is needed."),
            Next.OTHER_CARD,
        ),
        _fault(
            "unsupported", _l("This card does not answer as a FIDO2 card should."), Next.OTHER_CARD
        ),
        _fault(
            "card_removed",
            _l(
                "The card was taken away too early. Leave it on the reader until "
                "the screen says that it is done."
            ),
            Next.TRY_AGAIN,
        ),
        _fault(
            "card_swapped",
            _l("This is not the card that was tapped before. Tap the first card again."),
            Next.TRY_AGAIN,
        ),
        _fault(
            "card_mute",
            _l("The card does not answer. Take it off the reader and tap it again."),
            Next.TRY_AGAIN,
            Next.OTHER_CARD,
        ),
        _fault(
            "card_busy",
            _l("Another program on the station's computer is using the card."),
            Next.TRY_AGAIN,
            Next.MEND_STATION,
        ),
        _fault(
            "two_cards",
            _l("Two cards lie on the station's readers. Leave only the one that is meant."),
            Next.TRY_AGAIN,
        ),
        _fault("timeout", _l("The card took too long to answer."), Next.TRY_AGAIN, Next.OTHER_CARD),
        _fault(
            "pin_present",
            _l(
                "This card already has a PIN that Keywright did not set. Use a new "
                "card, or reset this one."
            ),
            Next.OTHER_CARD,
            Next.OWN_PIN,
            Next.RESET,
        ),
        _fault("pin_invalid", _l("That PIN is wrong."), Next.TRY_AGAIN),
        _fault(
            "pin_auth_blocked",
            _l("Three wrong PINs in a row. Take the card off the reader, then tap it again."),
            Next.TRY_AGAIN,
        ),
        _fault(
            "pin_blocked",
            _l(
                "The card's PIN is locked after eight wrong tries. Only a reset "
                "opens the card again."
            ),
            Next.RESET,
            Next.OTHER_CARD,
        ),
        _fault("pin_policy", _l("The card refuses this PIN by its own rules."), Next.TRY_AGAIN),
        _fault("pin_too_short", _l("The card wants a longer PIN."), Next.TRY_AGAIN),
        _fault(
            "change_pending",
            _l("This card's PIN must be changed before the card serves anything else."),
            Next.CHANGE_PIN,
        ),
        _fault(
            "already_enrolled",
            _l("This card is already one of this person's keys."),
            Next.OTHER_CARD,
        ),
        _fault(
            "card_taken",
            _l("This card is already somebody's key. Use another card."),
            Next.OTHER_CARD,
        ),
        _fault(
            "tapped_twice",
            _l("This card was given to somebody in this batch already. Take a new card."),
            Next.OTHER_CARD,
        ),
        _fault(
            "out_of_order",
            _l(
                "This card was begun for somebody else in this batch. Keep it for them, and take "
                "a new card."
            ),
            Next.OTHER_CARD,
        ),
        _fault(
            "storage_full",
            _l("The card has no room for another credential."),
            Next.OTHER_CARD,
            Next.RESET,
        ),
        _fault(
            "no_credential", _l("This card holds no key for this organisation."), Next.OTHER_CARD
        ),
        _fault(
            "reset_too_late",
            _l(
                "A card can only be reset within ten seconds of its tap. Take it "
                "off and tap it again."
            ),
            Next.TRY_AGAIN,
        ),
        _fault(
            "not_allowed",
            _l("The card refused. Take it off the reader and tap it again."),
            Next.TRY_AGAIN,
        ),
        _fault(
            "attestation_refused",
            _l("This card's model is not allowed here, or the card cannot prove its model."),
            Next.OTHER_CARD,
        ),
        _fault(
            "cannot_force_change",
            _l("This card cannot force a PIN change, and the policy asks for that."),
            Next.OTHER_CARD,
        ),
        _fault(
            "no_forced_change",
            _l("This card cannot be told to demand another PIN. Its holder can change the PIN."),
            Next.CHANGE_PIN,
        ),
        _fault(
            "garbage",
            _l("The card's answers make no sense. Clean it and tap again, or use another card."),
            Next.TRY_AGAIN,
            Next.OTHER_CARD,
        ),
        _fault(
            "refused_ticket",
            _l("The station refused the job: its clock or its pairing is off."),
            Next.MEND_STATION,
            Next.TRY_AGAIN,
        ),
        _fault("cancelled_at_desk", _l("Somebody cancelled at the desk."), Next.TRY_AGAIN),
        _fault(
            "link_dead",
            _l(
                "The activation link ended while the card was being written. Keep the card: "
                "with a new link it goes on from here."
            ),
        ),
        _fault("server_gone", _l("The station lost its connection to Keywright."), Next.TRY_AGAIN),
        _fault(
            "station_gone", _l("The station stopped answering."), Next.MEND_STATION, Next.TRY_AGAIN
        ),
        _fault(
            "refused",
            _l("The answer of the card was not accepted."),
            Next.TRY_AGAIN,
            Next.OTHER_CARD,
        ),
        _fault("card_error", _l("The card reported an error."), Next.TRY_AGAIN, Next.OTHER_CARD),
    ]
)


def of(word: str | None) -> Fault:
    """Return the fault of a word; an unknown word is a card error."""
    return FAULTS.get(word or "", FAULTS["card_error"])
