# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Profiles and faults in words, as a command line takes them: `pin=482915`, `storage_full`."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from fido2.webauthn import Aaguid

from reader.simulator.profile import BADGE, CTAP_2_0, CTAP_2_1, JAVACARD, U2F_ONLY, Faults, Profile

MODELS: Mapping[str, Profile] = {
    "ctap-2.1": CTAP_2_1,
    "ctap-2.0": CTAP_2_0,
    "javacard": JAVACARD,
    "u2f-only": U2F_ONLY,
    "badge": BADGE,
}

T = TypeVar("T", Profile, Faults)


class BadOption(ValueError):
    """No such setting, or no value that it takes; the text says which there are."""


def changed(what: T, words: Iterable[str]) -> T:
    """Return the profile or the faults with these settings. Raises BadOption."""
    hints = typing.get_type_hints(type(what))
    values: dict[str, Any] = {}
    for word in words:
        name, sign, text = word.partition("=")
        if name not in hints:
            raise BadOption(f"there is no {name!r}; there are: {', '.join(hints)}")
        if not sign and hints[name] is not bool:
            raise BadOption(f"{name} needs a value: {name}=…")
        try:
            values[name] = _read(hints[name], text if sign else "true")
        except ValueError as error:
            raise BadOption(f"{name}: {error}") from None
    return dataclasses.replace(what, **values)


def described(what: Profile | Faults) -> list[str]:
    """Return each setting with its value, as `changed` reads it."""
    return [f"{one.name}={_text(getattr(what, one.name))}" for one in dataclasses.fields(what)]


def _read(kind: Any, text: str) -> Any:
    """Raises ValueError with a sentence."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        (kind,) = (one for one in inner if one is not type(None))
        return None if text in ("", "none") else _read(kind, text)
    if origin is typing.Literal:
        if text not in inner:
            raise ValueError(f"one of {', '.join(inner)}")
        return text
    if origin is tuple:
        return tuple(_read(inner[0], part) for part in text.split(",") if part)
    if kind is bool:
        if text not in ("true", "false"):
            raise ValueError("true or false")
        return text == "true"
    if kind is int:
        return _number(text)
    if kind is float:
        try:
            return float(text)
        except ValueError:
            raise ValueError("a number of seconds") from None
    if kind in (bytes, Aaguid):
        try:
            raw = bytes.fromhex(text.replace("-", ""))
            return Aaguid(raw) if kind is Aaguid else raw
        except ValueError:
            raise ValueError("bytes in hex") from None
    return text


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise ValueError("a whole number, also as 0x33") from None


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    if isinstance(value, Aaguid):
        return str(value)
    return value.hex() if isinstance(value, bytes) else str(value)
