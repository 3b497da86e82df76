# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What scim2-models, which shares no code with ours, says of filters; and where it errs.

The oracle reads a filter with its own grammar and asks it of its own model of a resource. It
compares texts by a function that it is given, so that here it folds them as R7 does.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from scim2_models import EnterpriseUser, Extension, Group, Schema, ScimFilter, ScimPolicy, User

from scim.resource_types import KEYWRIGHT_USER
from tests.conformance.stores import HOSPITAL_SCHEMA

Document = dict[str, Any]

_Hospital = Extension.from_schema(Schema.model_validate(HOSPITAL_SCHEMA))
_User: Any = User[EnterpriseUser | _Hospital]  # type: ignore[valid-type]


def people(documents: Iterable[Document]) -> list[Any]:
    """Return the oracle's models of users; our own extension is none of its business."""
    return [_User.model_validate(_foreign(document)) for document in documents]


def groups(documents: Iterable[Document]) -> list[Any]:
    """Return the oracle's models of groups."""
    return [Group.model_validate(document) for document in documents]


def asked_of_people(text: str) -> Callable[[Any], bool]:
    """Return the oracle's reading of a filter on users."""
    return ScimFilter[_User](text).match


def asked_of_groups(text: str) -> Callable[[Any], bool]:
    """Return the oracle's reading of a filter on groups."""
    return ScimFilter[Group](text).match


def folding() -> AbstractContextManager[ScimPolicy]:
    """Let the oracle compare texts as RFC 7644 §7.8 wants names compared, and R7 all of them."""
    return ScimPolicy(comparison_key=key)


def key(binding: Any, text: str) -> str:
    """Return what a text is compared by."""
    if binding.case_exact:
        return text
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded)


def _foreign(document: Document) -> Document:
    kept = {name: value for name, value in document.items() if name != KEYWRIGHT_USER}
    kept["schemas"] = [urn for urn in document["schemas"] if urn != KEYWRIGHT_USER]
    return kept


@dataclass(frozen=True)
class Disagreement:
    """A filter that the oracle reads otherwise than we do, and the words that decide.

    `found` is our answer for the document; None means that we refuse the filter.
    """

    filter: str
    document: Document
    found: bool | None
    oracle: bool
    decided_by: str


_ANN: Document = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ann"}


# What these ask is left out of what `filters` generates; everything else must agree.
DISAGREEMENTS = (
    Disagreement(
        'userName eq " ann "',
        _ANN,
        found=True,
        oracle=False,
        decided_by="R7: names are compared without outer blanks, so a look-up before a write finds "
        "what the write would collide with (RFC 7643 §4.1.1: the match MUST be case insensitive; "
        "RFC 8265 §3.3 on preparation)",
    ),
    Disagreement(
        "emails.type eq null",
        {**_ANN, "emails": [{"value": "a@example.org", "type": "work"}, {"value": "b@x.org"}]},
        found=False,
        oracle=True,
        decided_by="RFC 7643 §2.5: null is “unassigned”, and an attribute with a value is not",
    ),
    Disagreement(
        "emails eq null",
        {**_ANN, "emails": [{"value": "a@example.org"}, {"type": "work"}]},
        found=False,
        oracle=True,
        decided_by="RFC 7643 §2.5, as above",
    ),
    Disagreement(
        "emails.type ne null",
        {**_ANN, "emails": [{"value": "a@example.org", "type": "work"}, {"value": "b@x.org"}]},
        found=True,
        oracle=False,
        decided_by="RFC 7643 §2.5, as above",
    ),
    Disagreement(
        'meta.created gt "2026-01-01T00:00:00"',
        {**_ANN, "meta": {"created": "2026-06-01T00:00:00.000Z"}},
        found=True,
        oracle=False,
        decided_by="RFC 7643 §2.3.5: any xsd:dateTime; one without an offset is read as UTC",
    ),
    Disagreement(
        'meta.created lt "2026-01-01T00:00:00.0000001Z"',
        {**_ANN, "meta": {"created": "2026-01-01T00:00:00.000Z"}},
        found=True,
        oracle=False,
        decided_by="RFC 7643 §2.3.5: any number of digits of a second counts",
    ),
    Disagreement(
        'meta.created co "2026"',
        {**_ANN, "meta": {"created": "2026-01-01T00:00:00.000Z"}},
        found=None,
        oracle=False,
        decided_by="RFC 7644 §3.4.2.2: an operator that does not fit the type is invalidFilter",
    ),
    Disagreement(
        'password eq "secret"',
        _ANN,
        found=None,
        oracle=False,
        decided_by="RFC 7643 §4.1.1: a password is never returned; there is none to ask for",
    ),
)
