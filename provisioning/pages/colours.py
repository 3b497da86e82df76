# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""An organisation's accent colour, and the shades of it that stay readable (WCAG 2.2 §1.4.3).

Colours are `#rrggbb`.
"""

from __future__ import annotations

WHITE = "#ffffff"
READABLE = 4.5  # the contrast that text needs
_STEP = 0.02
# The lightest and the darkest ground that words in the accent stand on, as in the stylesheet.
_GROUND_LIGHT, _GROUND_DARK = "#f0f2f6", "#1d222c"


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21 (WCAG 2.2, contrast ratio)."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def darkened(colour: str, ground: str = WHITE) -> str:
    """Return the colour, mixed with as little black as makes it readable on or under `ground`."""
    return _moved(colour, "#000000", ground)


def style(accent: str) -> str:
    """Return the stylesheet that puts this accent in the place of ours, in light and dark."""
    soft_light, soft_dark = _mixed(accent, WHITE, 0.9), _mixed(accent, _GROUND_DARK, 0.8)
    tokens = {
        "accent": (
            darkened(darkened(accent, _GROUND_LIGHT), soft_light),
            _moved(_moved(accent, WHITE, _GROUND_DARK), WHITE, soft_dark),
        ),
        "accent-fill": (accent, accent),
        "accent-fill-hover": (_mixed(accent, "#000000", 0.18), _mixed(accent, "#000000", 0.12)),
        "accent-soft": (soft_light, soft_dark),
        "accent-line": (_mixed(accent, WHITE, 0.7), _mixed(accent, _GROUND_DARK, 0.5)),
    }
    lines = (f"--{name}: light-dark({light}, {dark});" for name, (light, dark) in tokens.items())
    return "@layer tokens { :root { " + " ".join(lines) + " } }\n"


def _moved(colour: str, towards: str, ground: str) -> str:
    share = 0.0
    while contrast(mixed := _mixed(colour, towards, share), ground) < READABLE and share < 1:
        share += _STEP
    return mixed


def _mixed(colour: str, other: str, share: float) -> str:
    pairs = zip(_parts(colour), _parts(other), strict=True)
    share = min(share, 1.0)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _parts(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return red, green, blue


def _luminance(colour: str) -> float:
    linear = (
        part / 255 / 12.92 if part / 255 <= 0.04045 else ((part / 255 + 0.055) / 1.055) ** 2.4
        for part in _parts(colour)
    )
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
