# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Names and addresses as look-up keys: the same key for twins that people cannot tell apart."""

from __future__ import annotations

import unicodedata

from .errors import InvalidValue

# PostgreSQL takes 2,704 bytes for a line of an index; a character has up to four.
LONGEST = 512


def fold(text: str) -> str:
    """Return the look-up key of a name: stripped, NFKC, casefolded, NFKC again.

    Case, full-width, NFC/NFD, `ß`/`ss` and surrounding-space twins share one key (R7;
    RFC 7644 §7.8). The second NFKC is needed because casefolding can denormalise.
    """
    if text.isascii():  # what most names are: both normal forms of ASCII are itself
        return text.strip().lower()
    folded = unicodedata.normalize("NFKC", text.strip()).casefold()
    return unicodedata.normalize("NFKC", folded).strip()


def look_up_key(text: str, field: str, longest: int = LONGEST) -> str:
    """Return `fold` of a value that an index holds; raises InvalidValue for one that is too long.

    Folding lengthens some texts, one letter to eighteen.
    """
    key = fold(text)
    if max(len(text), len(key)) > longest:
        raise InvalidValue(f"{field} has at most {longest} characters.", field)
    return key
