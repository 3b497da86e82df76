# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Numbers read as the reader's language writes them."""

from __future__ import annotations

import io

import pytest
from flask import Flask
from flask_babel import force_locale

from provisioning.csv_import import csv_file
from provisioning.errors import InvalidValue
from provisioning.pages import error_words, figures
from provisioning.storage.db import transaction
from tests.fakes.panel import Panel

LONG_CELL = b"userName\n" + b"a" * 10_001


@pytest.mark.parametrize(
    ("language", "told"), [("en", "1,234,567"), ("de", "1.234.567"), ("de_CH", "1’234’567")]
)
def test_thousands_stand_apart_as_the_language_does_it(
    app: Flask, language: str, told: str
) -> None:
    with app.test_request_context(), force_locale(language):
        assert figures.number(1_234_567) == told
        assert figures.number(999) == "999"


def test_an_error_of_the_core_tells_its_numbers_in_the_readers_language(app: Flask) -> None:
    shape = csv_file.Shape(csv_file.Encoding.UTF_8, csv_file.Separator.COMMA, ("userName",))
    with pytest.raises(InvalidValue) as refused:
        list(csv_file.lines(io.BytesIO(LONG_CELL), shape))
    with app.test_request_context(), force_locale("de"):
        assert "10.000 Zeichen" in error_words.told(refused.value)
    with app.test_request_context(), force_locale("en"):
        assert "10,000 characters" in error_words.told(refused.value)


def test_a_page_tells_its_numbers_in_the_readers_language(app: Flask) -> None:
    panel = Panel(app)
    english = panel.see("/import")
    with transaction():
        panel.account.language = "de"
        panel.account.save()
    german = panel.see("/import")
    assert "250,000" in english
    assert "250.000" in german
    assert "250,000" not in german
