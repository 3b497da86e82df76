# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What the documents must name: settings, commands, audit events, SCIM attributes, packages."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from provisioning.audit import Event
from provisioning.cli import main
from provisioning.settings import PREFIX, Settings
from scim import resource_types
from scim.schema import Schema

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# Set by `keywright demo` for its own processes; nobody else does.
_DEMO_ONLY = {"demo", "demo_mailbox_url"}


def commands(group: click.Group, path: str = "keywright") -> Iterator[str]:
    context = click.Context(group)
    for name in sorted(group.list_commands(context)):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}"


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - _DEMO_ONLY))
def test_every_setting_is_in_the_readme(name: str) -> None:
    assert f"`{PREFIX}{name.upper()}`" in README


@pytest.mark.parametrize("command", list(commands(main)))
def test_every_command_is_in_the_readme(command: str) -> None:
    assert command in README


@pytest.mark.parametrize("event", list(Event))
def test_every_audit_event_is_in_the_readme(event: Event) -> None:
    assert f"`{event}`" in README


@pytest.mark.parametrize("schema", resource_types.SCHEMAS, ids=lambda schema: schema.name)
def test_every_scim_attribute_is_in_the_readme(schema: Schema) -> None:
    assert [a.name for a in schema.attributes if f"`{a.name}`" not in README] == []


def test_every_package_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    wanted = [*project["project"]["dependencies"], *(line for extra in extras for line in extra)]
    names = {re.split(r"[^\w.-]", line)[0].lower() for line in wanted}
    reasons = CONTRIBUTING.lower()
    assert {name for name in names if name not in reasons} == set()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_every_picture_and_file_that_a_page_links_is_there(page: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_make_target_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z -]+?)[`A-Z]", README + CONTRIBUTING))
    assert {word for words in named for word in words.split()} <= targets
