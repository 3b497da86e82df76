# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from flask import Flask
from flask_babel import force_locale

from provisioning.pages import times


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "14 November 2023, 22:13:20 UTC"),
        ("de", "14. November 2023, 22:13:20 UTC"),
    ],
)
def test_a_moment_is_told_as_the_language_writes_it(app: Flask, language: str, words: str) -> None:
    with app.test_request_context(), force_locale(language):
        assert times.exact(1_700_000_000_000) == words
