# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Filter text to tokens, in one linear pass, with caps before anything is parsed (R5).

The tokens have the names and the shape that `scim2_filter_parser.parser.SCIMParser` takes. Its
own lexer knows no escapes and no numbers over 9, and forgets whether a literal was a string, so
literals are decoded here as JSON and keep their Python type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from .errors import InvalidFilter

MAX_LENGTH = 4_096
MAX_DEPTH = 12
MAX_TERMS = 32

OPERATORS = frozenset({"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr"})
_LOGIC = frozenset({"and", "or", "not"})
_LITERALS = {"true": True, "false": False, "null": None}
_BRACKETS = {"(": "LPAREN", ")": "RPAREN", "[": "LBRACKET", "]": "RBRACKET"}

# Possessive quantifiers: no text makes the scan go back over what it has read.
_SCANNER = re.compile(
    r"""
    (?P<space>[ \t\r\n]++)
    | (?P<string>"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+")
    | (?P<number>-?+(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?+[0-9]++)?+(?![\w$.:-]))
    | (?P<name>[A-Za-z$][\w$.:%/-]*+)
    | (?P<sub>\.[A-Za-z$][\w$-]*+)
    | (?P<bracket>[()\[\]])
    """,
    re.VERBOSE | re.ASCII,
)
_NAME = re.compile(r"[A-Za-z$][\w$-]*(?:\.[A-Za-z$][\w$-]*)?", re.ASCII)
_LARGEST = 2**63


@dataclass(frozen=True)
class Token:
    """What the parser reads: a kind, a value and where it stood."""

    type: str
    value: object
    index: int
    end: int
    lineno: int = 1


def tokenise(text: str) -> list[Token]:
    """Return the tokens of a filter. Raises InvalidFilter, also over a cap."""
    if len(text) > MAX_LENGTH:
        raise InvalidFilter(f"A filter has at most {MAX_LENGTH} characters.")
    tokens: list[Token] = []
    depth = terms = position = 0
    while position < len(text):
        match = _SCANNER.match(text, position)
        if match is None:
            raise InvalidFilter(f"The filter is malformed at character {position + 1}.")
        kind, lexeme = str(match.lastgroup), match.group()
        start, position = position, match.end()
        if kind == "space":
            continue
        if kind == "bracket":
            depth += 1 if lexeme in "([" else -1
            if depth > MAX_DEPTH:
                raise InvalidFilter(f"A filter nests at most {MAX_DEPTH} deep.")
        found = _READERS[kind](lexeme, start, position)
        terms += sum(token.type.lower() in OPERATORS for token in found)
        if terms > MAX_TERMS:
            raise InvalidFilter(f"A filter has at most {MAX_TERMS} terms.")
        tokens += found
    if not tokens:
        raise InvalidFilter("The filter is empty.")
    return tokens


def _string(lexeme: str, start: int, end: int) -> list[Token]:
    try:
        value = json.loads(lexeme)
        value.encode()  # a lone surrogate cannot be stored, so it can match nothing
    except ValueError as error:
        raise InvalidFilter(f"The text at character {start + 1} is malformed.") from error
    if "\0" in value:
        raise InvalidFilter(f"The text at character {start + 1} holds a NUL.")
    return [Token("COMP_VALUE", value, start, end)]


def _number(lexeme: str, start: int, end: int) -> list[Token]:
    value = float(lexeme)
    if abs(value) >= _LARGEST:
        raise InvalidFilter(f"The number at character {start + 1} is too large.")
    whole = lexeme.lstrip("-").isdigit()
    return [Token("NUMBER", int(lexeme) if whole else value, start, end)]


def _name(lexeme: str, start: int, end: int) -> list[Token]:
    word = lexeme.lower()
    if word in OPERATORS or word in _LOGIC:
        return [Token(word.upper(), word, start, end)]
    if word in _LITERALS:  # in any case: some clients write `True`
        return [Token(word.upper(), _LITERALS[word], start, end)]
    tokens: list[Token] = []
    name = lexeme
    if word.startswith("urn:"):
        urn, _, name = lexeme.rpartition(":")
        tokens.append(Token("SCHEMA_URI", urn, start, start + len(urn)))
    if not _NAME.fullmatch(name):
        raise InvalidFilter(f"The attribute name at character {start + 1} is malformed.")
    attribute, dot, sub = name.partition(".")
    tokens.append(Token("ATTRNAME", attribute, start, end))
    if dot:
        tokens.append(Token("SUBATTR", sub, end - len(sub), end))
    return tokens


def _sub(lexeme: str, start: int, end: int) -> list[Token]:
    return [Token("SUBATTR", lexeme[1:], start, end)]


def _bracket(lexeme: str, start: int, end: int) -> list[Token]:
    return [Token(_BRACKETS[lexeme], lexeme, start, end)]


_READERS: dict[str, Callable[[str, int, int], list[Token]]] = {
    "string": _string,
    "number": _number,
    "name": _name,
    "sub": _sub,
    "bracket": _bracket,
}
