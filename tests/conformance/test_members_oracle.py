# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Members of groups against plain sets: whatever is added, removed and replaced, in any dialect."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.stateful import run_state_machine_as_test as run

from provisioning.nesting import MAX_NESTING
from tests.conformance.test_schema_rows import get
from tests.scim.pushing import GROUP, Directory, connect
from tests.scim.samples import EXAMPLES
from tests.scim.test_routes import refused

PEOPLE, GROUPS = 5, 5

_groups = st.integers(0, GROUPS - 1)
_people = st.lists(st.integers(0, PEOPLE - 1), max_size=4)  # with repetitions
_ADD = ("add", "Add")
_REMOVE = ("remove", "Remove")


class Members(RuleBasedStateMachine):
    """Five people, five groups, and a set of names for each group."""

    directory: Directory
    people: list[str]  # ids
    numbers = itertools.count()

    @initialize()
    def make(self) -> None:
        """Make empty groups of names that no other run has."""
        made = [self.directory.group(f"Group {next(self.numbers)}") for _ in range(GROUPS)]
        self.groups = [each["id"] for each in made]
        self.names = [each["displayName"] for each in made]
        self.model: dict[str, set[str]] = {each: set() for each in self.groups}

    def teardown(self) -> None:
        """Take the groups away."""
        for group in getattr(self, "groups", []):
            assert self.directory("DELETE", f"/Groups/{group}").status_code == 204

    # --- what a directory does ---------------------------------------------------------------

    @rule(group=_groups, people=_people, op=st.sampled_from(_ADD), bare=st.booleans())
    def add(self, group: int, people: list[int], op: str, bare: bool) -> None:
        """Add people, those who are in already and repetitions among them."""
        ids = [self.people[place] for place in people]
        value: list[Any] = ids if bare else [{"value": each, "$ref": None} for each in ids]
        self.changed(group, {"op": op, "path": "members", "value": value})
        self.model[self.groups[group]] |= set(ids)

    @rule(group=_groups, people=_people)
    def add_without_a_path(self, group: int, people: list[int]) -> None:
        """Okta: the group's id beside the members."""
        ids = [self.people[place] for place in people]
        value = {"id": self.groups[group], "members": [{"value": each} for each in ids]}
        self.changed(group, {"op": "add", "value": value})
        self.model[self.groups[group]] |= set(ids)

    @rule(group=_groups, people=_people, op=st.sampled_from(_REMOVE))
    def remove_by_value(self, group: int, people: list[int], op: str) -> None:
        """Entra and JumpCloud: a list of whom to remove; an empty one removes nobody."""
        ids = [self.people[place] for place in people]
        value = [{"value": each, "display": "whatever"} for each in ids]
        self.changed(group, {"op": op, "path": "members", "value": value})
        self.model[self.groups[group]] -= set(ids)

    @rule(group=_groups, people=_people.filter(bool), upper=st.booleans())
    def remove_by_path(self, group: int, people: list[int], upper: bool) -> None:
        """The standard's way, one or several in one filter."""
        ids = [self.people[place] for place in people]
        name, eq = ("MEMBERS", "EQ") if upper else ("members", "eq")
        path = f"{name}[" + " or ".join(f'value {eq} "{each}"' for each in ids) + "]"
        self.changed(group, {"op": "remove", "path": path})
        self.model[self.groups[group]] -= set(ids)

    @rule(group=_groups, place=st.integers(0, PEOPLE - 1))
    def remove_by_name(self, group: int, place: int) -> None:
        """A filter by another part than the value."""
        self.changed(group, {"op": "remove", "path": f'members[display eq "PERSON {place}"]'})
        self.model[self.groups[group]] -= {self.people[place]}

    @rule(group=_groups, kind=st.sampled_from(["User", "Group"]))
    def remove_a_kind(self, group: int, kind: str) -> None:
        """All people, or all groups."""
        self.changed(group, {"op": "remove", "path": f'members[type eq "{kind}"]'})
        own = set(self.people) if kind == "User" else set(self.groups)
        self.model[self.groups[group]] -= own

    @rule(group=_groups, people=_people, put=st.booleans())
    def replace(self, group: int, people: list[int], put: bool) -> None:
        """By PATCH or by PUT."""
        ids = [self.people[place] for place in people]
        value = [{"value": each} for each in ids]
        if put:
            body = {"schemas": [GROUP], "displayName": self.names[group], "members": value}
            answer = self.directory("PUT", f"/Groups/{self.groups[group]}", body)
            assert answer.status_code == 200, answer.text
        else:
            self.changed(group, {"op": "replace", "path": "members", "value": value})
        self.model[self.groups[group]] = set(ids)

    @rule(group=_groups, way=st.sampled_from(["remove", "empty", "null"]))
    def empty(self, group: int, way: str) -> None:
        """Leave nobody in it."""
        operation: dict[str, Any] = {"op": "remove", "path": "members"}
        if way != "remove":
            value = [] if way == "empty" else None
            operation = {"op": "replace", "path": "members", "value": value}
        self.changed(group, operation)
        self.model[self.groups[group]] = set()

    @rule(outer=_groups, inner=_groups, person=st.integers(0, PEOPLE - 1))
    def nest(self, outer: int, inner: int, person: int) -> None:
        """Put a group into another one; a circle is refused, and with it all of the request."""
        holder, member = self.groups[outer], self.groups[inner]
        operations = [
            {"op": "add", "path": "members", "value": [{"value": self.people[person]}]},
            {"op": "add", "path": "members", "value": [{"value": member}]},
        ]
        if holder in self.below(member) | {member}:
            refused(self.directory.patch(f"/Groups/{holder}", *operations), 400, "invalidValue")
        else:
            self.changed(outer, *operations)
            self.model[holder] |= {self.people[person], member}

    @rule(group=_groups, people=_people)
    def fail(self, group: int, people: list[int]) -> None:
        """An unknown member undoes the whole request."""
        value = [{"value": self.people[place]} for place in people]
        refused(
            self.directory.patch(
                f"/Groups/{self.groups[group]}",
                {"op": "replace", "path": "members", "value": value},
                {"op": "add", "path": "members", "value": [*value, {"value": "nobody"}]},
            ),
            400,
            "invalidValue",
        )

    @rule(group=_groups, first=_people, second=_people)
    def several(self, group: int, first: list[int], second: list[int]) -> None:
        """One request, several steps."""
        ids = [[self.people[place] for place in each] for each in (first, second)]
        values = [[{"value": one} for one in each] for each in ids]
        self.changed(
            group,
            {"op": "replace", "path": "members", "value": values[0]},
            {"op": "remove", "path": "members", "value": values[1]},
            {"op": "add", "path": "members", "value": values[1][:1]},
        )
        self.model[self.groups[group]] = set(ids[0]) - set(ids[1]) | set(ids[1][:1])

    # --- what must hold after each of it -----------------------------------------------------

    @invariant()
    def members_are_what_the_sets_say(self) -> None:
        """Each once, in whatever order."""
        for group in getattr(self, "groups", []):
            shown = get(self.directory, f"/Groups/{group}")
            members = [each["value"] for each in shown.get("members", [])]
            assert len(members) == len(set(members))
            assert set(members) == self.model[group]

    @invariant()
    def people_know_their_groups(self) -> None:
        """Direct and indirect ones."""
        if not hasattr(self, "groups"):
            return
        for person in self.people:
            shown = get(self.directory, f"/Users/{person}?attributes=groups").get("groups", [])
            direct = {g for g in self.groups if person in self.model[g]}
            indirect = {g for g in self.groups if any(d in self.below(g) for d in direct)} - direct
            assert {(each["value"], each["type"]) for each in shown} == {
                *((g, "direct") for g in direct),
                *((g, "indirect") for g in indirect),
            }

    @invariant()
    def filters_find_who_is_in(self) -> None:
        """`members eq` and `groups.value eq`."""
        if hasattr(self, "groups"):
            person = self.people[0]
            direct = [n for g, n in zip(self.groups, self.names, strict=True)
                      if person in self.model[g]]  # fmt: skip
            assert self.directory.find(f'members eq "{person}"', "/Groups") == direct

    def below(self, group: str) -> set[str]:
        """All groups that lie in a group."""
        found: set[str] = set()
        waiting = [group]
        while waiting:
            for member in self.model[waiting.pop()] & set(self.groups):
                if member not in found:
                    found.add(member)
                    waiting.append(member)
        return found

    def changed(self, group: int, *operations: dict[str, Any]) -> None:
        answer = self.directory.patch(f"/Groups/{self.groups[group]}", *operations)
        assert answer.status_code == 204, answer.text


@pytest.mark.req("P12")
@pytest.mark.req("S15")
@pytest.mark.req("R6")
@pytest.mark.req("R10")
def test_members_agree_with_plain_sets(app: Flask) -> None:
    directory = connect(app)
    people = [directory.user(f"person{n}", displayName=f"Person {n}")["id"] for n in range(PEOPLE)]
    assert GROUPS < MAX_NESTING
    bound = type("Bound", (Members,), {"directory": directory, "people": people})
    run(
        bound,
        settings=settings(
            max_examples=max(10, EXAMPLES // 20),
            stateful_step_count=20,
            suppress_health_check=list(HealthCheck),
        ),
    )
