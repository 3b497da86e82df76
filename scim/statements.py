# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Kept statements over lists of row ids; for the rest see `provisioning.statements`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from provisioning.statements import MAX_KEPT, Parameter, Rows, Statements, parameter

__all__ = ["MAX_KEPT", "ListStatements", "Parameter", "Rows", "Statements", "parameter"]


class ListStatements:
    """Statements over a list of row ids, `build(ids, scope, …)`: few lengths, the rest padded.

    `scope` is one more parameter, for whoever the rows must belong to.
    """

    LONGEST = 512

    def __init__(self, build: Callable[..., Any]) -> None:
        self._statements = Statements(
            lambda size, *shape: build([parameter(place) for place in range(size)],
                                       parameter(size), *shape)
        )

    def rows(
        self, ids: Sequence[int], *shape: Hashable, scope: object = None
    ) -> Iterator[tuple[Any, ...]]:
        """Run the statement on all the ids, in as many turns as they need."""
        for start in range(0, len(ids), self.LONGEST):
            part = list(ids[start:start + self.LONGEST])
            size = 1 << (len(part) - 1).bit_length()
            part += [part[-1]] * (size - len(part))
            yield from self._statements.rows((size, *shape), [*part, scope])
