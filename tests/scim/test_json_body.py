# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Bodies that two readers could read differently are refused."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scim.json_body
from provisioning.errors import InvalidValue
from scim.errors import InvalidSyntax, TooLarge
from scim.json_body import parse
from tests.scim.samples import EXAMPLES

DEEP = b'{"a":' * 32 + b"1" + b"}" * 32


@pytest.mark.req("R4")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1]",
        b'"text"',
        b"null",
        b"{} {}",
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"active":true,"active":false}',
        b'{"active":true,"Active":false}',
        b'{"name":{"x":1,"X":2}}',
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\n"}',
        b"[" * 100_000,
        b'{"a":' * 33 + b"1" + b"}" * 33,
        b'{"a":' + b"[" * 32 + b"]" * 32 + b"}",
    ],
)
def test_what_is_not_one_json_object_is_a_syntax_error(body: bytes) -> None:
    with pytest.raises(InvalidSyntax):
        parse(body)


@pytest.mark.req("R4")
@pytest.mark.parametrize(
    "body",
    [
        rb'{"a":"\ud800"}',
        rb'{"a":["\udc00x"]}',
        rb'{"\ud800":1}',
        rb'{"a":"x\u0000"}',
        b'{"a":9223372036854775808}',
        b'{"a":-9223372036854775809}',
        b'{"a":1e999}',
        b'{"a":' + b"9" * 5_000 + b"}",
    ],
)
def test_values_that_no_database_keeps_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidValue):
        parse(body)


@pytest.mark.req("R4")
def test_what_may_be_sent_is_read() -> None:
    assert parse(DEEP)
    assert parse(b'{"a":9223372036854775807,"b":"\\ud83d\\ude00","c":[{"x":1},{"x":2}]}') == {
        "a": 2**63 - 1,
        "b": "😀",
        "c": [{"x": 1}, {"x": 2}],
    }
    brackets = json.dumps({"a": "[{" * 100 + '"\\' + "]}" * 3}).encode()
    assert parse(brackets)["a"].startswith("[{")


@pytest.mark.req("R4")
@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"' + b'\\"' * 500_000,
        b"[" * 1_000_000,
        b'"' * 1_000_000,
        b'{"a":[' * 150_000,
        b'{"a":"' + b"\\" * 1_000_000,
    ],
)
def test_a_hostile_body_is_refused_in_linear_time(body: bytes) -> None:
    started = time.thread_time()
    with pytest.raises((InvalidSyntax, TooLarge)):
        parse(body)
    assert time.thread_time() - started < 2


_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text("abcdef", max_size=3), inner, max_size=3),
    ),
    max_leaves=10,
)


@pytest.mark.req("R4")
@settings(max_examples=EXAMPLES)
@given(
    value=st.dictionaries(st.text("abcdef", max_size=3), _values, max_size=4), escaped=st.booleans()
)
def test_every_plain_object_is_read_as_it_is(value: dict[str, object], escaped: bool) -> None:
    assert parse(json.dumps(value, ensure_ascii=escaped).encode()) == value


@settings(max_examples=EXAMPLES)
@given(body=st.binary(max_size=60) | st.text('{}[]":,\\u0d8e1', max_size=40).map(str.encode))
def test_no_bytes_make_it_fail_in_another_way(body: bytes) -> None:
    with contextlib.suppress(InvalidSyntax, InvalidValue):
        parse(body)


@pytest.mark.req("R4")
def test_a_body_has_so_many_lists_and_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scim.json_body, "MAX_PARTS", 100)
    assert len(list(parse(b'{"a":[' + b"[]," * 97 + b"{}]}").values())) == 1
    with pytest.raises(TooLarge):
        parse(b'{"a":[' + b"[]," * 98 + b"{}]}")
