# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Imports run one way: the rules of the layout, read from the code itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("provisioning", "scim", "enrollment", "reader")
# The composition root, the command line, and the demo, which plays all parts on one machine.
COMPOSERS = ("provisioning.app", "provisioning.cli", "provisioning.commands", "provisioning.demo")
MIGRATIONS = "provisioning.storage.migrations"
ONE_IMPORTER = {
    "webauthn": "provisioning.ceremonies.ceremony",
    "smartcard": "reader.transport.pcsc",
    "scim2_filter_parser": "scim.filters",
    "flask_mail": "provisioning.mails.mail",
}
# From what may import to what it may not: the core's one direction.
CORE_ORDER = (
    "clock",
    "errors",
    "naming",
    "storage.db",
    "models",
    "lifecycle",
    "audit",
    "mails.outbox",
    "keys",
    "panel.access",
    "issuing.policy",
    "nesting",
    "groups",
    "issuing.group_policies",
    "issuing.approvals",
    "issuing.activations",
    "desks.jobs",
    "desks.orders",
    "issuing.assignment",
    "directory",
)

Import = tuple[str, str]


def imports(root: Path) -> Iterator[Import]:
    """Yield (importing module, imported module), relative imports made absolute."""
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            base = module if path.name == "__init__.py" else module.rpartition(".")[0]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    yield from ((module, alias.name) for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    above = base.split(".")[: len(base.split(".")) - max(node.level - 1, 0)]
                    prefix = ".".join(above) if node.level else ""
                    target = ".".join(part for part in (prefix, node.module or "") if part)
                    yield module, target
                    yield from ((module, f"{target}.{alias.name}") for alias in node.names)


def package_of(module: str) -> str:
    return module.partition(".")[0]


def forbidden(found: Iterator[Import]) -> list[str]:
    """Return the imports that break a rule, as sentences."""
    faults = []
    for importer, imported in found:
        mine, theirs = package_of(importer), package_of(imported)
        composing = importer.startswith(COMPOSERS)
        ours = theirs in PACKAGES and theirs != mine
        if ours and mine == "reader":
            faults.append(f"{importer} imports {imported}: the reader shares no code")
        elif ours and theirs in ("scim", "enrollment") and not composing:
            faults.append(f"{importer} imports {imported}: only the composition root may")
        elif ours and theirs == "reader" and not importer.startswith("provisioning.demo"):
            faults.append(f"{importer} imports {imported}: only the demo plays the reader")
        library = ONE_IMPORTER.get(theirs)
        if library is not None and importer != library:
            faults.append(f"{importer} imports {imported}: only {library} may")
        layer, below = (
            importer.removeprefix("provisioning."),
            imported.removeprefix("provisioning."),
        )
        known = layer in CORE_ORDER and below in CORE_ORDER
        if known and CORE_ORDER.index(below) > CORE_ORDER.index(layer):
            faults.append(f"{importer} imports {imported}: the core runs one way")
        if importer.startswith(MIGRATIONS) and imported.startswith("provisioning"):
            faults.append(f"{importer} imports {imported}: migrations are frozen")
    return faults


def test_no_import_breaks_the_layout() -> None:
    assert forbidden(imports(ROOT)) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("scim/bad.py", "from enrollment import web"),
        ("enrollment/bad.py", "import scim.schema"),
        ("reader/bad.py", "from provisioning import clock"),
        ("provisioning/bad.py", "from scim import schema"),
        ("provisioning/keys.py", "from . import directory"),
        ("provisioning/models.py", "from .audit import record"),
        ("enrollment/bad.py", "import webauthn"),
        ("provisioning/panel/access.py", "from ..issuing import assignment"),
        ("reader/card.py", "from smartcard.System import readers"),
        ("provisioning/storage/migrations/0002_bad.py", "from provisioning.models import User"),
        ("enrollment/bad.py", "from reader import card"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path: Path, path: str, line: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(line + "\n")
    assert len(set(forbidden(imports(tmp_path)))) >= 1


def test_every_library_kept_to_one_module_is_imported_there() -> None:
    found = {(importer, package_of(imported)) for importer, imported in imports(ROOT)}
    assert {(module, library) for library, module in ONE_IMPORTER.items()} <= found


def test_every_module_that_a_rule_names_exists() -> None:
    """A module that moves takes its rule along, or the rule would hold nothing any more."""
    named = (*COMPOSERS, MIGRATIONS, *ONE_IMPORTER.values())
    paths = [
        ROOT / name.replace(".", "/")
        for name in (*named, *(f"provisioning.{one}" for one in CORE_ORDER))
    ]
    assert [p for p in paths if not (p.is_dir() or p.with_suffix(".py").is_file())] == []


def test_only_the_agreed_entries_stand_at_the_top() -> None:
    allowed = {
        *PACKAGES,
        "templates",
        "tests",
        "pyproject.toml",
        "uv.lock",
        "Makefile",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
    }
    ignored = {"data", "dist", "build", "gallery"}
    found = {p.name for p in ROOT.iterdir() if not p.name.startswith(".")}
    assert {name for name in found if not name.endswith(".egg-info")} - ignored <= allowed
