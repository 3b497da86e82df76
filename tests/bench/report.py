# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The table: figures with goal and floor beside them, and what is missing to a goal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto, unique

from tests.bench.measuring import Figures
from tests.bench.operations import Aim, Operation


@unique
class Verdict(Enum):
    """How a figure stands to its aim."""

    MET = auto()
    SHORT = auto()
    BELOW = auto()


@dataclass(frozen=True)
class Line:
    """One figure with its aim; more is better, unless it is to be `at_most` the aim."""

    what: str
    figure: float
    aim: Aim
    at_most: bool = False

    @property
    def verdict(self) -> Verdict:
        """Met, between floor and goal, or below the floor."""
        if self._reaches(self.aim.goal):
            return Verdict.MET
        return Verdict.SHORT if self._reaches(self.aim.floor) else Verdict.BELOW

    def told(self) -> str:
        """Say the figure and its aim."""
        return f"{self.what}: {shown(self.figure)} ({self._aim()})"

    def gap(self) -> str:
        """Say what is missing."""
        where = "BELOW THE FLOOR" if self.verdict is Verdict.BELOW else "short of the goal"
        return f"{self.what}: {shown(self.figure)}, {where} ({self._aim()})"

    def _reaches(self, wanted: float) -> bool:
        return self.figure <= wanted if self.at_most else self.figure >= wanted

    def _aim(self) -> str:
        if self.at_most:
            return f"at most {shown(self.aim.goal)}"
        if self.aim.goal == self.aim.floor:
            return f"at least {shown(self.aim.goal)}"
        return f"goal {shown(self.aim.goal)}, floor {shown(self.aim.floor)}"


def at_most(what: str, figure: float, most: float) -> Line:
    """Return a figure that is not to exceed something."""
    return Line(what, figure, Aim(most, most), at_most=True)


def at_least(what: str, figure: float, least: float) -> Line:
    """Return a figure that is to reach something."""
    return Line(what, figure, Aim(least, least))


def lines_of(operation: Operation, figures: Figures) -> list[Line]:
    """Return the figures of an operation that have an aim."""
    lines = []
    if operation.of_hello is not None:
        lines.append(
            Line(f"{operation.name}, of the hello route", figures.of_hello, operation.of_hello)
        )
    if operation.times_peer is not None and figures.times_peer is not None:
        lines.append(
            Line(f"{operation.name}, times scim2-server", figures.times_peer, operation.times_peer)
        )
    return lines


def head(*, with_peer: bool) -> str:
    """Return the heading of the table."""
    text = f"{'':32}{'per s':>8}   {'of commit':>9}   {'of hello':>8} {'goal':>6} {'floor':>6}"
    return text + (f"   {'x scim2-server':>14} {'goal':>6} {'floor':>6}" if with_peer else "")


def row(operation: Operation, figures: Figures) -> str:
    """Return one line of the table."""
    commit = shown(figures.of_commit) if figures.of_commit is not None else ""
    text = f"{operation.name:32}{1 / figures.seconds:8,.0f}   {commit:>9}   "
    text += _cells(figures.of_hello, operation.of_hello, 8)
    if figures.times_peer is not None:
        text += f"   {_cells(figures.times_peer, operation.times_peer, 14)}"
    return text


def shown(figure: float) -> str:
    """Return a figure in as many digits as it deserves."""
    return f"{figure:.2f}" if figure < 10 else f"{figure:,.0f}"


def _cells(figure: float, aim: Aim | None, width: int) -> str:
    if aim is None:
        return f"{'':{width}} {'':>6} {'':>6}"
    return f"{shown(figure):>{width}} {shown(aim.goal):>6} {shown(aim.floor):>6}"
