# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What was typed waits in a cookie, which a browser takes up to 4 KB of."""

from __future__ import annotations

import pytest
from flask import Flask, session

from enrollment import kept


@pytest.mark.parametrize(
    ("text", "waits"),
    [("a" * 2_000, True), ("".join(map(chr, range(0x4E00, 0x4E00 + 1_000))), False)],
    ids=["latin", "han"],
)
def test_what_a_browser_would_drop_is_not_kept(app: Flask, text: str, waits: bool) -> None:
    with app.test_request_context("/groups/new", method="POST", data={"name": text}):
        kept.keep(holder=1)
        assert ("kept" in session) is waits
        cookie = app.session_interface.get_signing_serializer(app).dumps(dict(session))  # type: ignore[attr-defined,union-attr]
        assert len(cookie) < 4_000
