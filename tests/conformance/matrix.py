# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Writes `scim/CONFORMANCE.md`: each row, what it demands, and the tests that hold it.

`python -m tests.conformance.matrix`, or `make conformance`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.conformance.rows import PARTS, Part

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "scim" / "CONFORMANCE.md"
_HEAD = """\
# What the SCIM service is held to

Each row is a demand, the trap that implementations fall into, and the tests that hold it.
`pytest --req S4` runs those of row S4. `make conformance` writes this page; the suite is red when
it is out of date, when a row has no test, and when a test names a row that is not here.

Beside these, clients and programs that share no code with this one judge the whole service:
[requests of real clients](../tests/conformance/test_client_requests.py),
[what is known of clients beyond those](../tests/conformance/test_client_dialects.py),
[scim2-tester](../tests/conformance/test_scim2_tester.py),
[scim-sanity](../tests/conformance/test_scim_sanity.py), and scim2-models as an oracle for
[filters](../tests/conformance/test_filter_oracle.py) and
[PATCH](../tests/conformance/test_patch_oracle.py); where it errs is
[listed](../tests/conformance/oracle.py) with the words of the standard. `make test-oracle` asks it
20,000 of each on both databases.
"""


@dataclass(frozen=True, order=True)
class Evidence:
    """One test. `path` is from the repository's root."""

    path: str
    name: str

    @property
    def link(self) -> str:
        """Its name as a sentence, linked to its file."""
        sentence = self.name.removeprefix("test_").replace("_", " ")
        return f"[{sentence}](../{self.path})"


@cache
def evidence() -> dict[str, list[Evidence]]:
    """Return the tests by the number that they are marked with, read from their source."""
    found: dict[str, list[Evidence]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name, number in _marks(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(number, []).append(Evidence(str(path.relative_to(ROOT)), name))
    return {number: sorted(set(tests)) for number, tests in found.items()}


def page() -> str:
    """Return the page as it should be."""
    tests = evidence()
    return _HEAD + "".join(_part(part, tests) for part in PARTS)


def _part(part: Part, tests: dict[str, list[Evidence]]) -> str:
    lines = [
        f"\n## {part.title}\n",
        "| Row | | Demands | Trap | Held by |",
        "|---|---|---|---|---|",
    ]
    for row in part.rows:
        held = "<br>".join(test.link for test in tests.get(row.number, []))
        cells = (f"**{row.number}**", str(row.level), row.demand, row.trap, held)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _marks(module: ast.Module) -> Iterator[tuple[str, str]]:
    everywhere = [
        number
        for statement in module.body
        if isinstance(statement, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in statement.targets)
        for number in _numbers(statement.value)
    ]
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            own = [number for decorator in node.decorator_list for number in _numbers(decorator)]
            for number in (*everywhere, *own):
                yield node.name, number


def _numbers(expression: ast.expr) -> Iterator[str]:
    """Yield what stands in `pytest.mark.req(…)` anywhere in an expression."""
    for node in ast.walk(expression):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "req"
        ):
            yield from (str(a.value) for a in node.args if isinstance(a, ast.Constant))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
