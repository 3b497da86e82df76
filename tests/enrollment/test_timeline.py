# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Whatever the log holds is told in words, and can be asked for."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

from flask import Flask

import provisioning
from enrollment import timeline
from provisioning.audit import Event

ICONS = Path(provisioning.__file__).parent / "static" / "icons"


def test_each_event_is_told_in_words_of_its_own_and_once() -> None:
    (words,) = (
        node.value
        for node in ast.walk(ast.parse(inspect.getsource(timeline)))
        if isinstance(node, ast.AnnAssign | ast.Assign)
        and isinstance(node.value, ast.Dict)
        and "_WORDS" in ast.unparse(node)
    )
    named = [ast.unparse(key).removeprefix("Event.") for key in words.keys if key is not None]
    assert sorted(named) == sorted(event.name for event in Event)


def test_each_event_has_an_icon_that_there_is() -> None:
    missing = {icon for _, icon, _ in timeline._WORDS.values()} - {
        icon.stem for icon in ICONS.glob("*.svg")
    }
    assert missing == set()


def test_the_log_can_be_filtered_by_every_area(app: Flask) -> None:
    with app.test_request_context():
        areas = [area for area, _label in timeline.kinds()]
    assert sorted(areas) == sorted({event.value.partition(".")[0] for event in Event})
