# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Bulk requests (RFC 7644 §3.7): many operations in one commit, each with its own outcome.

An operation may name what another one of the request creates, as `bulkId:…` in its path or its
data, whichever of the two comes first. Resources that name each other in a circle are created
without those names first and completed when all of them exist.

HR connectors send each person again and again as a POST, leavers with `active` false (the dialect
of Entra's `/bulkUpload`). Where a connection's settings say so, one whose externalId is held
already changes that person (`users.merge`). Who was there before is never undone with a circle.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from provisioning.errors import InvalidValue, KeywrightError, NotFound, Taken, WrongState
from provisioning.storage.db import transaction

from . import users
from .bulk_ids import names_in, resolved, without
from .caller import Caller
from .errors import InvalidSyntax, TooLarge, describe
from .json_body import MEBIBYTE
from .projection import projection
from .quirks import Quirk
from .resource_types import ALL, USER
from .resources import location, render
from .rows import Row
from .schema import ResourceType
from .verbs import WRITABLE, Verbs

MAX_OPERATIONS = 100
MAX_PAYLOAD = 32 * MEBIBYTE
REQUEST_URN = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
RESPONSE_URN = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"

_METHODS = ("POST", "PUT", "PATCH", "DELETE")
_ENDPOINTS = {each.endpoint: each for each in ALL}
_PATH = re.compile(r"(/[A-Za-z]+)(?:/([^/]+))?/?")

Json = dict[str, object]


@dataclass
class Operation:
    """One operation of the request, and what has become of it."""

    given: Mapping[str, object]
    outcome: Json | None = None
    names: frozenset[str] = field(default_factory=frozenset)
    merged: bool = False  # it changed somebody who was there

    # Its HTTP method, in capitals, and the name by which others may refer to what it creates.
    method: str = field(init=False)
    bulk_id: str | None = field(init=False)

    def __post_init__(self) -> None:
        self.method = str(self.given.get("method", "")).upper()
        name = self.given.get("bulkid")
        self.bulk_id = name if isinstance(name, str) and name else None

    @property
    def failed(self) -> bool:
        """Whether it was refused, or never came to its turn."""
        return self.outcome is None or "response" in self.outcome


def run(caller: Caller, body: Mapping[str, object]) -> Json:
    """Carry out a BulkRequest and return the BulkResponse. The caller holds the transaction.

    Raises InvalidSyntax, InvalidValue and TooLarge for the request as a whole.
    """
    done = carry_out(caller, body)
    outcomes = [each.outcome for each in done if each.outcome is not None]
    return {"schemas": [RESPONSE_URN], "Operations": outcomes}


def check(caller: Caller, body: Mapping[str, object]) -> list[Operation]:
    """Return the operations of a BulkRequest, in order. Raises what `run` does."""
    message = {name.lower(): value for name, value in body.items()}
    operations = _operations(message, caller)
    _most_errors(message.get("failonerrors"))
    return operations


def carry_out(caller: Caller, body: Mapping[str, object]) -> list[Operation]:
    """The same as `run`; return the operations, those without an outcome included."""
    operations = check(caller, body)
    most = next((value for name, value in body.items() if name.lower() == "failonerrors"), None)
    _Run(caller, operations, _most_errors(most)).all()
    return operations


class _Run:
    """A request being carried out."""

    def __init__(
        self, caller: Caller, operations: list[Operation], most_errors: int | None
    ) -> None:
        self._caller = caller
        self._operations = operations
        self._most_errors = most_errors
        self._errors = 0
        self._ids: dict[str, str] = {}  # bulkId to the id that was issued, or is held already
        self._incomplete: list[Operation] = []  # created of a circle, without some of its names
        self._creators = {
            each.bulk_id: each
            for each in reversed(operations)
            if each.method == "POST" and each.bulk_id is not None
        }

    def all(self) -> None:
        """Carry out what waits for nothing, in order, until all is done or too much has failed."""
        if not any(each.names for each in self._operations):  # nearly every request
            for operation in self._operations:
                if not self._stopped():
                    self._carry_out(operation)
            return
        late = self._find_held()
        waiting = [each for each in self._operations if not any(each is one for one in late)]
        while waiting and not self._stopped():
            ready = next((each for each in waiting if not self._awaited(each)), None)
            circular = ready is None or ready.bulk_id in ready.names
            if ready is None:  # a circle: whatever creates goes first, without the names
                ready = next((e for e in waiting if e.method == "POST"), waiting[0])
            if circular:
                self._incomplete.append(ready)
            waiting.remove(ready)
            self._carry_out(ready)
            for each in [each for each in self._incomplete if not self._awaited(each)]:
                self._complete(each)
        for each in list(self._incomplete):
            self._complete(each)
        for operation in late:
            if not self._stopped():
                self._carry_out(operation)

    def _find_held(self) -> list[Operation]:
        """Learn the ids of who is there already, so that nobody waits to name them.

        Return those who name others themselves: they come last, when it is certain what these
        have become. So nobody who was there is ever part of a circle, or left half changed.
        """
        named = frozenset[str]().union(*(each.names for each in self._operations))
        late: list[Operation] = []
        for bulk_id, operation in self._creators.items():
            data = operation.given.get("data")
            if isinstance(data, dict) and (operation.names or bulk_id in named):
                found = self._held(operation, data)
                if found is not None:
                    self._ids[bulk_id] = found
                    late += [operation] if operation.names else []
        return late

    def _held(self, operation: Operation, data: Json) -> str | None:
        try:
            type_, resource_id = self._target(operation)
            return users.held(self._caller, data) if type_ is USER and not resource_id else None
        except KeywrightError:
            return None  # told when it is its turn

    def _stopped(self) -> bool:
        return self._most_errors is not None and self._errors >= self._most_errors

    def _awaited(self, operation: Operation) -> bool:
        """Say whether it names something that another operation has yet to create.

        What changes something waits until that is whole: completed later, it would be set back.
        """
        creators = [self._creators[name] for name in operation.names if name in self._creators]
        return any(
            (each.outcome is None and each.bulk_id not in self._ids)
            or (operation.method != "POST" and any(each is one for one in self._incomplete))
            for each in creators
            if each is not operation
        )

    def _carry_out(self, operation: Operation) -> None:
        outcome: Json = {"method": operation.method}
        if operation.bulk_id is not None:
            outcome["bulkId"] = operation.bulk_id
        try:
            self._check(operation)
            type_, resource_id = self._target(operation)
            if resource_id is not None:
                outcome["location"] = location(type_, resource_id, self._caller.base)
            with transaction():
                row = self._call(operation, type_, resource_id)
        except KeywrightError as error:
            outcome |= self._failed(error)
        else:
            new = operation.method == "POST" and not operation.merged
            outcome["status"] = "201" if new else ("204" if row is None else "200")
            if row is not None:
                outcome |= self._where(type_, row, new=new)
                if operation.method == "POST" and operation.bulk_id is not None:
                    self._ids[operation.bulk_id] = row.resource_id
        operation.outcome = outcome

    def _complete(self, operation: Operation) -> None:
        """Give a resource from a circle the names that were left out when it was created."""
        self._incomplete = [each for each in self._incomplete if each is not operation]
        outcome = operation.outcome or {}
        if operation.method != "POST" or outcome.get("status") != "201":
            return
        type_, _ = self._target(operation)
        resource_id = self._ids.get(operation.bulk_id or "", "")
        try:
            if not operation.names <= self._ids.keys():
                raise WrongState("It names a bulkId that came to nothing.")
            with transaction():
                data = resolved(self._data(operation), self._ids)
                row = _verbs(type_).replace(self._caller, resource_id, data, None)
            outcome |= self._where(type_, row)
        except KeywrightError as error:
            self._undo(operation, error)

    def _undo(self, operation: Operation, error: KeywrightError) -> None:
        """Let nothing be left of a circle that cannot be completed: no half of what was asked."""
        type_, _ = self._target(operation)
        gone = operation.bulk_id or ""
        with suppress(NotFound), transaction():  # another operation may have deleted it since
            _verbs(type_).delete(self._caller, self._ids.pop(gone), None)
        kept = {"method": operation.method, "bulkId": gone}
        operation.outcome = kept | self._failed(error)
        for other in self._operations:
            made = (other.outcome or {}).get("status") == "201"
            if gone in other.names and made:
                self._undo(other, WrongState(f"bulkId:{gone} came to nothing."))

    def _failed(self, error: KeywrightError) -> Json:
        if isinstance(error, Taken):
            self._caller.taken.append(error)
        self._errors += 1
        fault = describe(error)
        return {"status": str(fault.status), "response": fault.body()}

    def _check(self, operation: Operation) -> None:
        if operation.method not in _METHODS:
            raise InvalidSyntax("An operation's method is POST, PUT, PATCH or DELETE.")
        if operation.method == "POST":
            if operation.bulk_id is None:
                raise InvalidSyntax("A POST needs a bulkId.")
            if self._creators.get(operation.bulk_id) is not operation:
                raise InvalidValue("Another operation has this bulkId.", "bulkId")
        for name in operation.names:
            creator = self._creators.get(name)
            if creator is None or (creator.outcome is not None and name not in self._ids):
                raise WrongState(f"bulkId:{name} came to nothing.")

    def _target(self, operation: Operation) -> tuple[ResourceType, str | None]:
        path = operation.given.get("path")
        path = path if isinstance(path, str) else ""
        if path in _ENDPOINTS and operation.method == "POST":
            return _ENDPOINTS[path], None
        match_ = _PATH.fullmatch(path)
        endpoint, resource_id = match_.groups() if match_ else ("", None)
        type_ = _ENDPOINTS.get(endpoint)
        if type_ is None:
            raise NotFound(f"There is nothing at {operation.given.get('path')}.")
        if (resource_id is None) is not (operation.method == "POST"):
            raise InvalidSyntax(f"{operation.method} does not go to {path}.")
        if resource_id is not None and resource_id.startswith("bulkId:"):
            resource_id = self._ids.get(resource_id.removeprefix("bulkId:"), resource_id)
        return type_, resource_id

    def _call(
        self, operation: Operation, type_: ResourceType, resource_id: str | None
    ) -> Row | None:
        verbs = _verbs(type_)
        self._caller.check_may_write(type_)
        if_match = operation.given.get("version")
        if if_match is not None and not isinstance(if_match, str):
            raise InvalidValue("version is an entity tag.", "version")
        if operation.method == "DELETE":
            verbs.delete(self._caller, resource_id or "", if_match)
            return None
        data = self._data(operation)
        if operation.names and resource_id is None:
            data = without(data, operation.names - self._ids.keys())
        if operation.names:
            data = resolved(data, self._ids)
        if resource_id is None:
            found = users.held(self._caller, data) if type_ is USER else None
            if found is None:
                return verbs.create(self._caller, data)
            if not operation.names <= self._ids.keys():
                raise WrongState("Who is there already is changed as a whole, and not in a circle.")
            operation.merged = True
            return users.merge(self._caller, found, data, if_match)
        verb = verbs.replace if operation.method == "PUT" else verbs.patch
        return verb(self._caller, resource_id, data, if_match)

    def _data(self, operation: Operation) -> Json:
        data = operation.given.get("data")
        if not isinstance(data, dict):
            raise InvalidSyntax("An operation's data is an object.")
        return data

    def _where(self, type_: ResourceType, row: Row, *, new: bool = False) -> Json:
        base = self._caller.base
        if new:  # nothing that other rows say of it is part of its version yet
            at = location(type_, row.resource_id, base)
            return {"location": at, "version": f'W/"{row.version}"'}
        shape = projection(type_, excluded=["members"])
        shown = render(type_, [row], shape, self._caller.connection, base)[0]
        return {"location": shown.location, "version": shown.version}


def _verbs(type_: ResourceType) -> Verbs:
    verbs = WRITABLE.get(type_.name)
    if verbs is None:
        raise NotFound(f"{type_.name} cannot be written.")
    return verbs


def _operations(message: Mapping[str, object], caller: Caller) -> list[Operation]:
    schemas = message.get("schemas")
    urns = [str(urn).lower() for urn in schemas] if isinstance(schemas, list) else []
    lacking = schemas is None and caller.dialect.allows(Quirk.MISSING_SCHEMAS)
    if REQUEST_URN.lower() not in urns and not lacking:
        raise InvalidSyntax(f"schemas does not name {REQUEST_URN}.")
    listed = message.get("operations")
    if not isinstance(listed, list) or not listed:
        raise InvalidSyntax("Operations is a list of one or more operations.")
    if len(listed) > MAX_OPERATIONS:
        raise TooLarge(f"A bulk request takes at most {MAX_OPERATIONS} operations.")
    operations: list[Operation] = []
    for given in listed:
        if not isinstance(given, Mapping):
            raise InvalidSyntax("An operation is an object.")
        parts = {name.lower(): value for name, value in given.items()}
        names = names_in({"path": parts.get("path"), "data": parts.get("data")})
        operations.append(Operation(parts, names=names))
    return operations


def _most_errors(value: object) -> int | None:
    """Read `failOnErrors`: how many errors end the request; null and 0 are no limit."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidValue("failOnErrors is a number of errors.", "failOnErrors")
    return value or None
