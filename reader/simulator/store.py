# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""Cards in files, so that a demo has the same cards after a restart.

The file holds private keys in the clear, as the whole simulator protects nothing; it is
readable by its owner only.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from fido2.webauthn import Aaguid

from reader.simulator.card import SoftwareCard
from reader.simulator.credentials import Credential, Memory
from reader.simulator.profile import Profile

FORMAT = 1
HEX = "hex"
"""Bytes are written as {"hex": "04…"}."""

Json = dict[str, Any]


class NotACard(ValueError):
    """The file or dict is not a software card of a known format."""


def to_dict(card: SoftwareCard) -> Json:
    """The whole card as JSON values: model, UID and memory; no faults, no volatile state."""
    profile = asdict(card.profile)
    # The memory has the PIN's hash; the PIN itself is written nowhere.
    del profile["pin"]
    state = {
        "format": FORMAT,
        "uid": card.uid,
        "profile": profile,
        "memory": asdict(card.memory),
    }
    written: Json = json.loads(json.dumps(state, default=_write_bytes))
    return written


def from_dict(state: Json) -> SoftwareCard:
    """:raises NotACard:"""
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise NotACard("This is not a software card.")
    if not set(state.get("profile", ())) <= {field.name for field in fields(Profile)}:
        raise NotACard("This software card comes from a newer simulator.")
    try:
        state = json.loads(json.dumps(state), object_hook=_read_bytes)
        memory = dict(state["memory"])
        memory["credentials"] = [Credential(**values) for values in memory["credentials"]]
        return SoftwareCard(
            Profile(**_profile_values(state["profile"])),
            memory=Memory(**memory),
            uid=state["uid"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NotACard("This software card is damaged.") from error


def save(card: SoftwareCard, path: Path) -> None:
    """Write the card to a file of mode 0600, whole or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(to_dict(card), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def load(path: Path) -> SoftwareCard:
    """:raises NotACard:
    :raises FileNotFoundError:
    """
    try:
        return from_dict(json.loads(path.read_text(encoding="utf-8")))
    except json.JSONDecodeError as error:
        raise NotACard("This is not a software card.") from error


def _profile_values(values: Json) -> Json:
    """JSON has no tuples and no AAGUID type; a frozen Profile has both."""
    read = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    return read | {"aaguid": Aaguid(values["aaguid"])}


def _write_bytes(value: object) -> Json:
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} has no place in a card file.")
    return {HEX: value.hex()}


def _read_bytes(value: Json) -> object:
    return bytes.fromhex(value[HEX]) if value.keys() == {HEX} else value
