# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.naming import fold


@pytest.mark.req("R7")
@given(text=st.one_of(st.text(), st.text(st.characters(max_codepoint=127))))
def test_the_short_way_for_ascii_leads_to_the_same_key(text: str) -> None:
    folded = unicodedata.normalize("NFKC", text.strip()).casefold()
    assert fold(text) == unicodedata.normalize("NFKC", folded).strip()


@pytest.mark.req("R7")
@given(text=st.text(max_size=40))
def test_a_key_folds_to_itself(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert fold(fold(text.upper())) == fold(text.upper())
