# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Conditions: what is exact, what lets more through, and how prefixes become ranges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim.columns import ALWAYS, NEVER, UNKNOWN, Condition, _after, compile_filter
from scim.expressions import And, Expression, Never, Not, Or, Present
from scim.resource_types import USER

_path = USER.resolve("title")
assert _path is not None
TERM = Present(_path)

CHARACTERS = st.characters(exclude_categories=["Cs"])


@pytest.mark.req("P4")
@given(prefix=st.text(CHARACTERS, min_size=1, max_size=4), text=st.text(CHARACTERS, max_size=6))
def test_a_range_holds_exactly_what_starts_with_the_prefix(prefix: str, text: str) -> None:
    after = _after(prefix)
    for each in (text, prefix + text):
        assert (prefix <= each and (after is None or each < after)) == each.startswith(prefix) or (
            after is None
        )


@pytest.mark.req("P5")
@pytest.mark.parametrize(
    ("expression", "leaf", "known"),
    [
        (Not(TERM), UNKNOWN, UNKNOWN),
        (Not(TERM), ALWAYS, NEVER),
        (Never(), UNKNOWN, NEVER),
        (And((TERM, TERM)), ALWAYS, ALWAYS),
        (Or((TERM, TERM)), UNKNOWN, UNKNOWN),
        (Or((TERM, Never())), ALWAYS, ALWAYS),
        (And((TERM, Never())), UNKNOWN, Condition(NEVER.sql, exact=False)),
        (Or((TERM, Never())), UNKNOWN, UNKNOWN),
    ],
)
def test_what_is_unknown_never_narrows(
    expression: Expression, leaf: Condition, known: Condition
) -> None:
    found = compile_filter(expression, lambda _: leaf)
    assert found.exact is known.exact
    assert (found.sql is None) is (known.sql is None)
