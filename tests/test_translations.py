# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Every word that people see exists in every language; what is compiled is what is written."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask
from flask_babel import Babel, force_locale
from markupsafe import Markup

from provisioning.errors import InvalidValue, Taken
from provisioning.pages import error_words
from provisioning.settings import LANGUAGES

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "provisioning" / "translations"
KEYWORDS = {**DEFAULT_KEYWORDS, "_l": None, "lazy_gettext": None}
METHODS = [("**.py", error_words.extract), ("**.html", "jinja2"), ("**.txt", "jinja2")]
TRANSLATED = [language for language in LANGUAGES if language != "en"]
PLACE = re.compile(r"%\(\w+\)[sd]|\{\w+\}")

Id = tuple[str, str | tuple[str, str]]


@cache
def used() -> frozenset[Id]:
    """What the code and the templates say, with its context."""
    return frozenset(_extracted())


def _extracted() -> Iterator[Id]:
    for folder in ("enrollment", "provisioning", "templates"):
        found = extract_from_dir(ROOT / folder, METHODS, keywords=KEYWORDS, comment_tags=())
        for _file, _line, message, _comments, context in found:
            yield context or "", message


@cache
def catalogue(language: str) -> Catalog:
    with (FOLDER / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=language)


def messages(language: str) -> dict[Id, Message]:
    return {(m.context or "", m.id): m for m in catalogue(language) if m.id}


def texts(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string)


def test_the_extraction_finds_words_of_every_kind() -> None:
    for message in (
        ("", "Security keys"),
        ("", ("%(num)s person", "%(num)s people")),
        ("", "Only an owner changes this."),
        ("error", "There is no such key."),
        ("error", "There is no user %(a)s."),
        ("error", "The mail server cannot be reached: %(a)s."),
        ("conflicts", "Open"),  # and not what a button does
        ("error", "There is already a group %(a)s."),
        ("error", "Another user already has this externalId."),
        ("error", "%(a)s has no address."),
        ("error", "The receiver answered %(a)s."),
    ):
        assert message in used()


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_word_lacks_its_translation_and_none_is_left_over(language: str) -> None:
    there = messages(language)
    missing = sorted(str(one) for one in used() - there.keys())
    assert missing == [], "run `make messages`, then translate what is empty"
    assert sorted(str(one) for one in there.keys() - used()) == []
    assert [m.id for m in there.values() if not all(texts(m))] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_translation_is_only_guessed(language: str) -> None:
    assert not catalogue(language).fuzzy
    assert [m.id for m in catalogue(language) if m.fuzzy and m.id] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_placeholders_agree(language: str) -> None:
    for (_context, msgid), message in messages(language).items():
        if isinstance(msgid, str):
            assert set(PLACE.findall(message.string)) == set(PLACE.findall(msgid)), msgid
            continue
        singular, plural = (set(PLACE.findall(text)) for text in msgid)
        one, many = (set(PLACE.findall(text)) for text in message.string)
        assert many == plural, msgid
        assert singular <= one | {"%(num)s", "%(n)s"}, msgid
        assert one <= singular | plural, msgid


@pytest.mark.parametrize("language", TRANSLATED)
def test_plurals_and_spaces_are_whole(language: str) -> None:
    for (_context, msgid), message in messages(language).items():
        first = msgid if isinstance(msgid, str) else msgid[0]
        assert len(texts(message)) == (1 if isinstance(msgid, str) else 2), msgid
        for text in texts(message):
            assert text == text.strip() or first != first.strip(), msgid
            assert "\n" not in text or "\n" in first, msgid
            assert "<" not in text or "<" in first, msgid


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_compiled_catalogue_is_the_one_that_stands_beside_it(language: str) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, catalogue(language))
    path = FOLDER / language / "LC_MESSAGES" / "messages.mo"
    assert path.read_bytes() == compiled.getvalue(), "run `make messages`"


@pytest.fixture
def speaking() -> Iterator[Flask]:
    app = Flask(__name__)
    Babel(app)
    with app.test_request_context("/"):
        yield app


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Taken("This person has an account already."), "Diese Person hat schon ein Konto."),
        (InvalidValue("There is no user ada."), "Es gibt keinen Benutzer ada."),
        (
            InvalidValue(
                "This e-mail address cannot be used. "
                "It must be one address, without commas and semicolons."
            ),
            "Diese E-Mail-Adresse ist nicht verwendbar. "
            "Es muss eine einzige Adresse sein, ohne Kommas und Semikolons.",
        ),
        (InvalidValue("Nobody ever said this."), "Nobody ever said this."),
        (Taken("This person already has a key named %(a)s."), "namens %(a)s."),
        (Taken("This person already has a key named \\1\n.*."), "namens \\1\n.*."),
        ("", ""),
        (Markup("<b>There is no such key.</b>"), "<b>There is no such key.</b>"),
    ],
)
def test_an_error_is_told_in_the_readers_language(
    speaking: Flask, error: object, said: str
) -> None:
    assert error_words.told(error) == str(error)
    with force_locale("de"):
        assert said in error_words.told(error)


@pytest.mark.parametrize("language", ["../../etc", "", "xx", "de/../de"])
def test_a_language_that_is_none_reads_no_file(language: str) -> None:
    assert error_words._catalogue(language) == ({}, ())
