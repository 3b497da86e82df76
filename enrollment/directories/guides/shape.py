# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What a guide holds. Texts are lazy translations; names of menus and attributes are the vendor's
own and are not translated."""

from __future__ import annotations

from dataclasses import dataclass

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

Text = object  # a lazy translation, or a str


@dataclass(frozen=True)
class Mapping:
    """Their attribute, ours, and why it matters where that is not plain."""

    theirs: str
    ours: str
    why: Text = ""


@dataclass(frozen=True)
class Trouble:
    """What somebody sees there, and what to do."""

    sign: Text
    mend: Text


@dataclass(frozen=True)
class Guide:
    """One vendor. `url_field` and `token_field` are the names of the fields to paste into;
    `thin` says what of this is not known for sure."""

    slug: str
    name: str
    profile: str
    steps: tuple[Text, ...]
    url_field: str
    token_field: str
    mappings: tuple[Mapping, ...]
    arrives: tuple[Text, ...]
    tests: tuple[Text, ...]
    troubles: tuple[Trouble, ...]
    group_mappings: tuple[Mapping, ...] = ()
    template: str = ""  # a text to paste, where the vendor wants one
    template_field: str = ""
    thin: Text = ""
