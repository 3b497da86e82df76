# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""PATCH against an oracle: generated people, and many generated sequences applied to each.

Each sequence goes through the whole verb, document and look-up rows, in a transaction that is
undone; the oracle applies it to its own model. Both must end with the same resource, or refuse.
`make test-oracle` tries 20,000 on SQLite and as many on PostgreSQL.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scim2_models import EnterpriseUser, PatchOp, SCIMException, ScimPolicy
from scim2_models import User as TheirUser

from provisioning.errors import KeywrightError
from provisioning.models import Connection, UserValue
from provisioning.models import User as Row
from provisioning.naming import fold
from provisioning.services import Services
from provisioning.storage.db import transaction
from scim import users
from scim.caller import Caller, make_caller
from scim.door import open_door
from scim.errors import describe
from scim.operations import URN
from scim.quirks import PROFILES, Dialect, Profile, Quirk
from scim.resource_types import CORE_USER, ENTERPRISE_USER
from tests.conformance import oracle
from tests.conformance.stores import MAILS, person, word
from tests.conformance.undone import undone
from tests.scim.samples import EXAMPLES, TYPES

EACH = min(25, EXAMPLES)
_QUICK = settings(database=None, suppress_health_check=list(HealthCheck))
THEIRS = TheirUser[EnterpriseUser]
_UPSERT = ScimPolicy.UnmatchedPathFilter


# RFC 7643 §2.4: the same pair of type and value SHOULD NOT be returned twice. We join such twins
# (S11), the oracle keeps both; from there on the two no longer speak of the same person.
TWINS = "twins"


STRICT = PROFILES["strict"]
# With that leniency a list with several primaries is put right instead of refused.
TOLERANT = Profile("tolerant", frozenset(Quirk) - {Quirk.MANY_PRIMARIES})


def _op(name: str, path: str | None = None, value: Any = ...) -> dict[str, Any]:
    made: dict[str, Any] = {"op": name}
    if path is not None:
        made["path"] = path
    if value is not ...:
        made["value"] = value
    return made


_write = st.sampled_from(["add", "replace"])
_DEPARTMENT = f"{ENTERPRISE_USER}:department"
_PLAIN = [
    "title", "TITLE", "nickName", "displayName", "externalId", "userType", "name.givenName",
    "Name.familyName", f"{CORE_USER}:title", f"{CORE_USER}:name.givenName", _DEPARTMENT,
    f"{ENTERPRISE_USER.lower()}:costCenter",
]  # fmt: skip
_mail = st.sampled_from(MAILS)
_type = st.sampled_from([*TYPES, "pager"])


def _element(value: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"value": value, "type": _type}, optional={"display": word, "primary": st.booleans()}
    )


_WHERE = [
    'type eq "work"', 'TYPE eq "home"', 'type eq "pager"', "primary eq true", 'value co "a"',
    'not (type eq "work")', 'type eq "work" or type eq "home"', "display pr",
    'type eq "other" and value sw "ann"',
]  # fmt: skip
_LISTS = {"emails": _mail, "roles": word, "ims": word}
_where = st.sampled_from(_WHERE)
_list = st.sampled_from(sorted(_LISTS))


@st.composite
def _on_lists(draw: st.DrawFn) -> dict[str, Any]:
    """An operation on a multi-valued attribute: whole, selected, or a part."""
    name = draw(_list)
    value = _LISTS[name]
    path = f"{name}[{draw(_where)}]"
    match draw(st.integers(0, 7)):
        case 0:
            return _op(draw(_write), name, draw(st.lists(_element(value), max_size=2)))
        case 1:
            return _op("add", name, draw(_element(value)))
        case 2:
            return _op("remove", draw(st.sampled_from([name, path])))
        case 3:
            return _op("remove", f"{path}.{draw(st.sampled_from(['type', 'display', 'primary']))}")
        case 4:
            return _op(draw(_write), f"{path}.value", draw(value))
        case 5:
            return _op(draw(_write), f"{path}.display", draw(word))
        case 6 if draw(st.booleans()):
            return _op(draw(_write), f"{path}.primary", False)
        case 6:  # one element at most: to make several of them primary at once is a contradiction
            one = f'type eq "{draw(_type)}" and value eq {json.dumps(draw(value))}'
            return _op(draw(_write), f"{name}[{one}].primary", True)
        case _:
            element = draw(_element(value))
            element.pop("primary", None)  # the filter may select several
            if draw(st.booleans()):
                element["display"] = None
            return _op("replace", path, element)


_word_or_nothing = st.one_of(word, st.none())
_whole_value = st.fixed_dictionaries(
    {},
    optional={
        "title": word,
        "DISPLAYNAME": word,
        "name.familyName": word,
        "name": st.fixed_dictionaries({"givenName": _word_or_nothing}),
        "active": st.booleans(),
        "emails": st.lists(_element(_mail), min_size=1, max_size=1),
        f"{ENTERPRISE_USER}:division": word,
        ENTERPRISE_USER: st.fixed_dictionaries({"department": word}),
    },
)
_operations = st.one_of(
    st.builds(_op, _write, st.sampled_from(_PLAIN), word),
    st.builds(_op, _write, st.sampled_from(_PLAIN), st.none()),
    st.builds(_op, st.just("remove"), st.sampled_from([*_PLAIN, "name", ENTERPRISE_USER])),
    st.builds(_op, _write, st.just("active"), st.booleans()),
    st.builds(
        _op,
        _write,
        st.just("name"),
        st.fixed_dictionaries({"givenName": word}, optional={"familyName": _word_or_nothing}),
    ),
    st.builds(
        _op,
        _write,
        st.just(ENTERPRISE_USER),
        st.fixed_dictionaries({"department": word}, optional={"division": word}),
    ),
    st.builds(_op, _write, st.none(), _whole_value),
    _on_lists(),
    _on_lists(),
    _on_lists(),
    # What must be refused, and with it everything before.
    st.sampled_from(
        [
            _op("remove"),
            _op("remove", "userName"),
            _op("replace", "userName", None),
            _op("remove", "meta"),
            _op("replace", "id", "another"),
            _op("add", "groups", [{"value": "x"}]),
            _op("add", "favouriteColour", "red"),
            _op("add", "name.colour", "red"),
            _op("replace", 'emails[colour eq "red"]', {"value": "a@example.org"}),
            _op("replace", "emails[type eq", "x"),
            _op("add", "title", {"value": "x"}),
            _op("replace", "active", "perhaps"),
        ]
    ),
)
sequences = st.lists(_operations, min_size=1, max_size=5)


def ours(
    caller: Caller, resource_id: str, operations: list[dict[str, Any]]
) -> dict[str, Any] | str:
    """Patch through the verb; return the document, or the word of the refusal."""
    message = {"schemas": [URN], "Operations": copy.deepcopy(operations)}
    with undone():
        try:
            with transaction():
                row = users.patch(caller, resource_id, message, None)
        except KeywrightError as error:
            return describe(error).scim_type or "none"
        document: dict[str, Any] = orjson.loads(row.document)
        check_rows(resource_id, document)
        return document


def check_rows(resource_id: str, document: dict[str, Any]) -> None:
    """The look-up rows say what the document says, and nothing else."""
    user = Row.get(Row.resource_id == resource_id)
    rows = UserValue.select(UserValue.attribute, UserValue.value).where(UserValue.user == user.id)
    held = {
        (name, element["value"])
        for name, elements in document.items()
        if isinstance(elements, list)
        for element in elements
        if "value" in element and name in {"emails", "roles", "ims"}
    }
    found = {(name, value) for name, value in rows.tuples() if name in {"emails", "roles", "ims"}}
    assert found == held
    assert (user.active, user.external_id) == (document["active"], document.get("externalId"))


def theirs(
    document: dict[str, Any], operations: list[dict[str, Any]], profile: Profile
) -> dict[str, Any] | str:
    """Patch the oracle's model.

    An add makes what its filter describes and does not find, under every profile (P15); a replace
    does under the tolerant one. The oracle has one rule for both, so it is asked step by step.
    """
    model = THEIRS.model_validate({"schemas": [CORE_USER, ENTERPRISE_USER], **document})
    try:
        for operation in operations:
            if twins({"value": operation.get("value")}):
                return TWINS
            if primaries(operation.get("value")) > 1:
                # RFC 7643 §2.4: no more than one. The oracle does not count one that is there.
                return "invalidValue"
            if operation["op"] == "add":
                # RFC 7644 §3.5.2.1: an add takes nothing away. The oracle's does, by a null.
                operation = {**operation, "value": without_nulls(operation["value"])}
                if operation["value"] is None:
                    continue
            makes = operation["op"] == "add" or Quirk.UPSERT_ON_REPLACE in profile.quirks
            message = {"schemas": [URN], "Operations": [copy.deepcopy(operation)]}
            with ScimPolicy(
                unmatched_path_filter=_UPSERT.create if makes else _UPSERT.forbid,
                comparison_key=oracle.key,
            ):
                PatchOp[THEIRS].model_validate(message).patch(model)  # type: ignore[valid-type]
            if twins(model.model_dump()):
                return TWINS
    except SCIMException as error:
        # RFC 7644 §3.5.2.3: a replace that makes nothing has no target. What it would have made,
        # and what contradicts that, is the oracle's first thought.
        if operation["op"] == "replace" and error.scim_type == "invalidValue" and makes:
            strictly = theirs(document, operations, STRICT)
            return strictly if strictly == "noTarget" else error.scim_type
        return error.scim_type
    except ValidationError as error:  # with the exception inside
        return str(error.errors()[0]["type"]).removeprefix("scim_")
    return dict(model.model_dump())


def primaries(value: Any) -> int:
    """Return how many elements of a list are to be the primary one."""
    elements = value if isinstance(value, list) else []
    return sum(each.get("primary") is True for each in elements if isinstance(each, dict))


def without_nulls(value: Any) -> Any:
    """Leave out of an object what is null; one that said nothing else is none."""
    if not isinstance(value, dict) or not value:
        return value
    said = {name: without_nulls(part) for name, part in value.items()}
    return {name: part for name, part in said.items() if part is not None} or None


def twins(document: dict[str, Any]) -> bool:
    """Say whether a list holds one value of one type twice, as the oracle lets it."""
    for elements in document.values():
        if isinstance(elements, list):
            names = [
                (fold(each["value"]), fold(each.get("type", "")))
                if "value" in each
                else repr_of({part: one for part, one in each.items() if part != "primary"})
                for each in elements
                if isinstance(each, dict)
            ]
            if len(names) != len(set(names)):
                return True
    return False


def settled(document: dict[str, Any] | str) -> dict[str, Any] | str:
    """Leave out what says nothing: `primary: false`, the order of a list, what is derived.

    The oracle spells canonical types its own way, and keeps the old spelling of a display when an
    element is added that differs in nothing else; we store what was sent (S7).
    """
    if isinstance(document, str):
        return document
    plain: dict[str, Any] = {}
    for name, value in document.items():
        if name in ("schemas", "meta", "id"):
            continue
        if isinstance(value, list):
            elements = [
                {
                    part: fold(one) if part in ("type", "display") else one
                    for part, one in each.items()
                    if (part, one) != ("primary", False)
                }
                for each in value
            ]
            value = sorted((each for each in elements if each), key=repr_of)
        if value not in ({}, [], None):
            plain[name] = value
    return plain


def repr_of(element: dict[str, Any]) -> str:
    return repr(sorted(element.items()))


@pytest.mark.req("P12")
@pytest.mark.req("P15")
@pytest.mark.req("S10")
@pytest.mark.req("R10")
@pytest.mark.parametrize("profile", [STRICT, TOLERANT], ids=lambda profile: profile.name)
def test_patching_agrees_with_an_independent_reading(services: Services, profile: Profile) -> None:
    connection = Connection.create(name="mine")
    maker = make_caller(connection, open_door("http://localhost/scim/v2", services))
    caller = replace(maker, dialect=Dialect(profile))
    seen: Counter[str] = Counter()
    share = max(EACH, EXAMPLES // 2)  # the other half is the other profile's

    @settings(_QUICK, max_examples=max(1, -(-share * 5 // (EACH * 4))), phases=[Phase.generate])
    @given(body=person)
    def each_person(body: dict[str, Any]) -> None:
        with undone():
            with transaction():
                made = users.create(maker, {"schemas": [CORE_USER], **body})
            resource_id = made.resource_id
            document = orjson.loads(Row.get(Row.resource_id == resource_id).document)

            @settings(_QUICK, max_examples=EACH)
            @given(operations=sequences)
            def each_sequence(operations: list[dict[str, Any]]) -> None:
                expected = settled(theirs(document, operations, profile))
                found = settled(ours(caller, resource_id, operations))
                if expected == TWINS:
                    seen["left out"] += 1
                    return
                if isinstance(found, str) and isinstance(expected, str) and len(operations) > 1:
                    expected = found  # of several faults each may tell another one first
                assert found == expected
                seen["refused" if isinstance(found, str) else "patched"] += 1

            each_sequence()

    each_person()
    print(f"{seen.total()} sequences under the {profile.name} profile: {dict(seen)}")
    assert seen.total() >= share
    if share > 20 * EACH:  # of a few people each may be dull
        assert seen["patched"] + seen["refused"] >= share
        assert min(seen["patched"], seen["refused"]) > share // 20
