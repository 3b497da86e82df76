# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A logo that somebody uploads: PNG or SVG, small, and nothing in it but a picture.

What a PNG holds beside the picture (texts, places, whatever hangs behind its end) is dropped. An
SVG is a document that could run scripts and fetch files: it is refused unless every element and
attribute of it is one that draws. Both are served with a policy that lets them do nothing (ASVS
5.0 §5.2, §3.2.1).
"""

from __future__ import annotations

import hashlib
import re
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from dataclasses import dataclass

from ..errors import InvalidValue

LARGEST = 256 * 1024  # bytes
WIDEST = 2048  # pixels
PNG, SVG = "image/png", "image/svg+xml"

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Critical chunks and those without which colours are wrong (PNG third edition §11).
_KEPT = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB"})
_SVG = "{http://www.w3.org/2000/svg}"
_ELEMENTS = frozenset(
    re.findall(
        r"\S+",
        "svg g path rect circle ellipse line polyline polygon title desc defs linearGradient "
        "radialGradient stop clipPath",
    )
)
_ATTRIBUTES = frozenset(
    re.findall(
        r"\S+",
        "id version viewBox width height x y x1 x2 y1 y2 cx cy r rx ry fx fy d points transform "
        "fill fill-rule fill-opacity stroke stroke-width stroke-linecap stroke-linejoin "
        "stroke-miterlimit stroke-dasharray stroke-opacity opacity clip-path clip-rule offset "
        "stop-color stop-opacity gradientUnits gradientTransform spreadMethod clipPathUnits "
        "preserveAspectRatio color role aria-label focusable",
    )
)


@dataclass(frozen=True)
class Picture:
    """A checked picture; `digest` is SHA-256 in hex."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        """Return its name, which changes with it."""
        return hashlib.sha256(self.content).hexdigest()


def check(content: bytes) -> Picture:
    """Return the picture as it may be shown. Raises InvalidValue(field="logo")."""
    if not content:
        raise _refused("Choose a file first.")
    if len(content) > LARGEST:
        raise _refused(f"The file has more than {LARGEST // 1024} KB.")
    if content.startswith(_SIGNATURE):
        return Picture(PNG, _clean_png(content))
    return Picture(SVG, _checked_svg(content))


def _clean_png(content: bytes) -> bytes:
    at, kept, seen = len(_SIGNATURE), [_SIGNATURE], list[bytes]()
    while at < len(content) and b"IEND" not in seen:
        head = content[at : at + 8]
        if len(head) < 8:
            raise _refused("The PNG file is cut off.")
        length, kind = struct.unpack(">I4s", head)
        end = at + 12 + length
        if end > len(content):
            raise _refused("The PNG file is cut off.")
        body = content[at + 8 : end - 4]
        if zlib.crc32(kind + body) != struct.unpack(">I", content[end - 4 : end])[0]:
            raise _refused("The PNG file is damaged.")
        if kind == b"IHDR":
            _check_size(body)
        if kind in _KEPT:
            kept.append(content[at:end])
            seen.append(kind)
        at = end
    if seen[:1] != [b"IHDR"] or b"IDAT" not in seen or seen[-1] != b"IEND":
        raise _refused("The PNG file is damaged.")
    return b"".join(kept)


def _check_size(header: bytes) -> None:
    if len(header) != 13:
        raise _refused("The PNG file is damaged.")
    width, height = struct.unpack(">II", header[:8])
    if not (0 < width <= WIDEST and 0 < height <= WIDEST):
        raise _refused(f"The picture has more than {WIDEST} pixels on a side.")


def _checked_svg(content: bytes) -> bytes:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _refused("Use a PNG or an SVG file.") from None
    # Before the parser sees it: entities are what makes a small file large (T9), and a stylesheet
    # instruction is fetched from elsewhere.
    if re.search(r"<!(?!--)|<\?(?!xml\s)", text):
        raise _refused("The SVG file has a document type or instructions; save it as plain SVG.")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - no entities can be in there
    except (ElementTree.ParseError, RecursionError):
        raise _refused("Use a PNG or an SVG file.") from None
    if root.tag != f"{_SVG}svg":
        raise _refused("Use a PNG or an SVG file.")
    for element in root.iter():
        if not isinstance(element.tag, str) or element.tag.removeprefix(_SVG) not in _ELEMENTS:
            shown = str(element.tag).rpartition("}")[2][:40]
            raise _refused(f"The SVG file has an element that does not draw: {shown}.")
        for name, value in element.attrib.items():
            if name not in _ATTRIBUTES or not _is_harmless(value):
                shown = name.rpartition("}")[2][:40]
                raise _refused(f"The SVG file has an attribute that is not allowed: {shown}.")
    return text.encode()


def _is_harmless(value: str) -> bool:
    """References go to what is in the same file, `url(#gradient)`, and nowhere else."""
    inside = re.sub(r"url\(\s*#[\w.-]+\s*\)", "", value)
    return not re.search(r"url\s*\(|[a-z]+\s*:|\\|&", inside, re.IGNORECASE)


def _refused(why: str) -> InvalidValue:
    return InvalidValue(why, "logo")
