# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What is demanded of a SCIM service provider, row by row, and what is often got wrong.

`pytest --req S4` runs what holds row S4; `make conformance` writes the table of rows and tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique


@unique
class Level(StrEnum):
    """How much the standard insists."""

    MUST = "must"
    SHOULD = "should"
    MAY = "may"
    INTEROP = "interop"


@dataclass(frozen=True)
class Row:
    """A demand, and the trap in it."""

    number: str
    level: Level
    demand: str
    trap: str


@dataclass(frozen=True)
class Part:
    """The rows of one document."""

    title: str
    rows: tuple[Row, ...]


_M, _S, _O, _I = Level.MUST, Level.SHOULD, Level.MAY, Level.INTEROP

SCHEMA = Part(
    "Schema (RFC 7643)",
    (
        Row(
            "S1",
            _M,
            "User, Group, EnterpriseUser, ServiceProviderConfig, ResourceType and Schema are "
            "served with every characteristic",
            "a null in /Schemas",
        ),
        Row(
            "S2",
            _M,
            "attribute names and schema URNs compare without case",
            "`USERNAME eq`, `Emails`, a lower-case URN in `schemas`",
        ),
        Row(
            "S3",
            _M,
            "string, boolean, decimal, integer, dateTime, binary, reference, complex; no complex "
            "inside a complex",
            "dateTime with any offset and seven digits of a second",
        ),
        Row(
            "S4",
            _M,
            "readOnly is passed over in POST and PUT, immutable is set once, writeOnly is never "
            "shown",
            "`id`, `meta` and `groups` in a PUT pass, in a PATCH they are 400 `mutability`; the "
            "same `id` passes",
        ),
        Row(
            "S5",
            _M,
            "always, never, default, request hold for replies to POST, PUT and PATCH, too",
            "`always` survives excludedAttributes; an empty extension goes with its URN",
        ),
        Row(
            "S6",
            _M,
            "what is unique is 409 `uniqueness` the second time",
            "userName without case; two requests at once",
        ),
        Row(
            "S7",
            _M,
            "caseExact decides about equality, order and uniqueness; values stay as they were sent",
            "`id` and `externalId` exactly; userName, e-mails and displayName without case",
        ),
        Row("S8", _S, "canonical values are hints", '`type: "other"`'),
        Row(
            "S9",
            _M,
            "null, the empty list and absence are the same",
            'clearing by null, `[]`, `""`',
        ),
        Row(
            "S10",
            _M,
            "`primary: true` at most once",
            "PATCH of a second one unseats the first; two in a body are normalised, or refused",
        ),
        Row("S11", _S, "no pair of type and value is returned twice", "an add of what is there"),
        Row(
            "S12",
            _M,
            "`schemas` is never empty, repeats nothing and follows what is there",
            "an extension in a body whose `schemas` does not name it",
        ),
        Row(
            "S13",
            _M,
            "the server issues `id`, never `externalId`; an `id` stays and is never used again",
            "`bulkId` in an id; the same externalId from two directories",
        ),
        Row(
            "S14",
            _M,
            "meta has resourceType, created, lastModified, location and version",
            "Content-Location; a PATCH that changes nothing leaves lastModified",
        ),
        Row(
            "S15",
            _M,
            "`groups` of a user is derived, direct and indirect",
            "members are users unless they are groups",
        ),
        Row(
            "S16",
            _M,
            "resource types and schemas are declared, and work as they are declared",
            "types in code instead of data",
        ),
        Row(
            "S17",
            _M,
            "ServiceProviderConfig tells what is supported",
            "advertising what does not work",
        ),
        Row(
            "S18",
            _M,
            "a password is accepted, never stored, never returned",
            "a filter that asks for it",
        ),
    ),
)

PROTOCOL = Part(
    "Protocol (RFC 7644)",
    (
        Row("P1", _M, "POST answers 201 with Location and the whole resource", "an empty body"),
        Row(
            "P2",
            _M,
            "`attributes` and `excludedAttributes` exclude each other; parts and qualified names",
            "`excludedAttributes=members` must not load members",
        ),
        Row(
            "P3",
            _M,
            "a list tells the exact total; startIndex counts from 1, count may be 0",
            "negative numbers, numbers as strings, an order that changes between pages",
        ),
        Row(
            "P4",
            _O,
            "every operator, `and`, `or`, `not`, parentheses, value paths",
            "what is unknown or malformed is 400 `invalidFilter`, never passed over",
        ),
        Row(
            "P5", _M, "parentheses, then `not`, then `and`, then `or`", "reading from left to right"
        ),
        Row(
            "P6",
            _M,
            "booleans and binary have no order: 400; any value of a list may match",
            "`not` over a list means that none matches",
        ),
        Row(
            "P7", _M, "over several types an attribute that one has not is false there", "an error"
        ),
        Row(
            "P8",
            _I,
            '`emails[type eq "work"].value eq "x"`, outside the grammar, is read (Entra)',
            "refusing it",
        ),
        Row(
            "P9",
            _O,
            "sortBy and sortOrder; a list sorts by its primary or first; none comes last",
            "no order among equals",
        ),
        Row(
            "P10",
            _O,
            "`.search` on each type and at the root; a query over all types",
            "filters in logs",
        ),
        Row(
            "P11",
            _M,
            "PUT replaces, clears what is left out and never creates",
            "another id is 400 `mutability`",
        ),
        Row(
            "P12",
            _M,
            "PATCH happens in order and as a whole; an add of what is there changes nothing; "
            "parts merge",
            "remove without a path is `noTarget`, of what is required `mutability`; "
            "`op` in any case",
        ),
        Row(
            "P13",
            _M,
            "PATCH answers 200 with a body, or 204 with an ETag; with `attributes` always 200",
            "Entra wants 204 for groups",
        ),
        Row(
            "P14",
            _I,
            "keys of a value without a path may be paths (Entra)",
            "taking them for names",
        ),
        Row(
            "P15",
            _I,
            "replace of what a filter does not find is 400 `noTarget`; add makes it",
            "Entra replaces, too: the tolerant profile makes it",
        ),
        Row(
            "P16",
            _M,
            "DELETE answers 204, then it is 404 everywhere",
            "who is suspended stays visible; the name of who is gone is free",
        ),
        Row(
            "P17",
            _O,
            "bulk requests: bulkId in path and data, failOnErrors, an outcome for each operation",
            "references ahead and in circles, 409 for those to nothing, 413 for too much, "
            "`failOnErrors: null`",
        ),
        Row(
            "P18",
            _O,
            "weak ETags, equal to meta.version; 412 and 304",
            "a write that is not guarded",
        ),
        Row(
            "P19",
            _O,
            "/Me is 200 or 308, or 501 where nobody is meant",
            "an alias for another's token",
        ),
        Row(
            "P20",
            _M,
            "discovery takes GET only and passes over paging and order",
            "a filter is 403",
        ),
        Row(
            "P21",
            _M,
            "every error is one of SCIM, 401, 404, 405, 413 and 500 too",
            "`status` is a text; a framework's HTML",
        ),
        Row("P22", _S, "application/scim+json and application/json in and out", "OneLogin"),
        Row("P23", _M, "each kind of error has its scimType", "one for all"),
        Row("P24", _M, "each status has its cause", "401 without WWW-Authenticate"),
    ),
)

HOSTILE = Part(
    "Hostile input",
    (
        Row(
            "R4",
            _M,
            "a body is at most 1 MiB (groups and bulk 32 MiB): 413; UTF-8, 32 deep, no name twice",
            "NaN, half a surrogate pair, NUL, numbers over 64 bits: 400",
        ),
        Row(
            "R5",
            _M,
            "a filter is at most 4,096 characters, 12 deep, 32 terms, counted before it is parsed",
            "paths and sortBy as well; an answer in 50 ms",
        ),
        Row(
            "R6",
            _M,
            "200 a page, 100 operations in bulk, 100,000 members a request, 8 levels of groups",
            "circles; `%` and `_` are characters",
        ),
        Row(
            "R7",
            _M,
            "a userName is unique folded (NFKC, case), at most 256 characters",
            "full-width letters, combining marks, `ß`, outer blanks",
        ),
        Row(
            "R8",
            _M,
            "a boolean is true or false, or those words; nothing else",
            '`"False"` must deactivate; null and absence never reactivate; `0` and `"no"` are 400',
        ),
        Row(
            "R9",
            _M,
            "`id`, `meta` and roles are not the client's; unknown attributes are counted by name",
            "another id in a PUT is 400 `mutability`; a role grants nothing",
        ),
        Row(
            "R10",
            _M,
            "ETags guard writes; a PATCH is all or nothing; a repeated POST makes no twin",
            "the third of five operations fails",
        ),
    ),
)

NEWER = Part(
    "Newer documents",
    (
        Row(
            "RFC9865",
            _O,
            "paging by cursor: an empty one asks for the first page, the last page has none; "
            "`pagination` in ServiceProviderConfig",
            "a cursor of another client or query, a forged or an old one; paging by index stays "
            "the default",
        ),
        Row(
            "RFC9967",
            _O,
            "events as signed tokens, by push (RFC 8935) and by poll (RFC 8936); `notice` tells "
            "names of attributes, `full` their values; `securityEvents` in ServiceProviderConfig",
            "personal data in what nobody asked for: `notice` is the default",
        ),
    ),
)

PARTS = (SCHEMA, PROTOCOL, NEWER, HOSTILE)
