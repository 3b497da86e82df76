# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The core's errors in the reader's language.

The core says what is wrong in English, once, for every door: SCIM and the command line show it as
it is. Pages look the sentence up in the catalogue, where errors have the context "error"; what an
f-string puts in is a placeholder there (`%(a)s`, `%(b)s`, in order), found again in the sentence
by what stands around it.
"""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from string import ascii_lowercase
from typing import IO, Any

from babel.messages.extract import extract_python
from babel.messages.mofile import read_mo
from flask_babel import get_locale

from . import figures

CONTEXT = "error"
FOLDER = Path(__file__).parents[1] / "translations"

_ERRORS = frozenset(
    {
        "InvalidValue",
        "Taken",
        "NotFound",
        "Stale",
        "WrongState",
        "Forbidden",
        "StepUpNeeded",
        "PolicyForbids",
        "Unauthenticated",
        "LinkDead",
        "SealBroken",
        "CeremonyRefused",
        "MailTemporary",
        "MailUnreachable",
        "MailPermanent",
        "Refused",
        "Unreachable",
        "Failure",
        "Skip",
        "ValueError",
        "_refused",
    }
)
_PLACE = re.compile(r"%\(([a-z])\)s")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_DEEPEST = 3  # a sentence may quote another one

Told = tuple[Mapping[str, str], tuple[tuple[re.Pattern[str], str], ...]]


def told(sentence: object, depth: int = 0) -> str:
    """Return an error's sentence in the language of this request; what is none stays as it is."""
    words = str(sentence)
    if _THOUSANDS.fullmatch(words):
        return figures.number(int(words.replace(",", "")))
    exact, patterns = _catalogue(str(get_locale() or "en").partition("_")[0])
    if words in exact:
        return exact[words]
    for pattern, translation in patterns:
        found = pattern.fullmatch(words)
        if found is not None:
            parts = {
                name: told(part, depth + 1) if depth < _DEEPEST else part
                for name, part in found.groupdict().items()
            }
            return _PLACE.sub(lambda place: parts[place[1]], translation)  # noqa: B023
    return words


@lru_cache(maxsize=8)
def _catalogue(language: str) -> Told:
    """Read a language's errors; those with the longest wording are tried first."""
    path = FOLDER / language / "LC_MESSAGES" / "messages.mo"
    if not language.isalpha() or not path.is_file():
        return {}, ()
    with path.open("rb") as file:
        # Babel 2.18 leaves a context that it has read as bytes.
        errors = [m for m in read_mo(file) if m.context in (CONTEXT, CONTEXT.encode())]
    exact = {str(m.id): str(m.string) for m in errors if not _PLACE.search(str(m.id))}
    longest = sorted(
        (m for m in errors if str(m.id) not in exact), key=lambda m: -len(_PLACE.sub("", str(m.id)))
    )
    return exact, tuple((_pattern(str(m.id)), str(m.string)) for m in longest)


def _pattern(msgid: str) -> re.Pattern[str]:
    literals = _PLACE.split(msgid)  # text, name, text, name, … text
    parts = [
        f"(?P<{part}>.*?)" if place % 2 else re.escape(part) for place, part in enumerate(literals)
    ]
    return re.compile("".join(parts), re.DOTALL)


def extract(fileobj: IO[bytes], keywords: Any, comment_tags: Any, options: Any) -> Iterator[Any]:
    """Find what is to be translated in a Python file: gettext's calls, and errors' sentences.

    A method of Babel's for `make messages` (see pyproject.toml).
    """
    source = fileobj.read()
    yield from extract_python(io.BytesIO(source), keywords, comment_tags, options)
    for node in ast.walk(ast.parse(source)):
        for expression in _said(node):
            for sentence in _sentences(expression):
                yield expression.lineno, "pgettext", (CONTEXT, sentence), []


def _said(node: ast.AST) -> list[ast.expr]:
    """Return the expressions of a node that end in an error's text."""
    if isinstance(node, ast.Call) and _name(node.func) in _ERRORS:
        return node.args[:1]
    if isinstance(node, ast.FunctionDef) and node.name.startswith("_why"):
        answers = [one for one in ast.walk(node) if isinstance(one, ast.Return)]
        return [answer.value for answer in answers if answer.value is not None]
    if isinstance(node, ast.AnnAssign) and _name(node.target) == "SENTENCES":
        return node.value.values if isinstance(node.value, ast.Dict) else []
    return []


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _sentences(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from _sentences(node.body)
        yield from _sentences(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        if " " in node.value:  # a word alone is a reason's name
            yield node.value
    elif isinstance(node, ast.JoinedStr):
        names = iter(ascii_lowercase)
        sentence = "".join(
            str(part.value) if isinstance(part, ast.Constant) else f"%({next(names)})s"
            for part in node.values
        )
        if re.search(r"[A-Za-z]{2} |[a-z]{2}\.", _PLACE.sub("", sentence)):
            yield sentence
