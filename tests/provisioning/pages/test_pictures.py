# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import contextlib
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.errors import InvalidValue
from provisioning.pages import pictures

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GOOD_SVG = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><defs>'
    b'<linearGradient id="a"><stop offset="0" stop-color="#fff"/></linearGradient></defs>'
    b'<path d="M0 0h24v24z" fill="url(#a)" stroke="rgb(0,0,0)"/></svg>'
)


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int = 1, height: int = 1, *more: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * (1 + width) * height)
    return b"".join(
        (SIGNATURE, chunk(b"IHDR", header), *more, chunk(b"IDAT", pixels), chunk(b"IEND"))
    )


def svg(inside: str, attributes: str = "") -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}>{inside}</svg>'.encode()


def test_a_png_comes_through_as_it_is() -> None:
    picture = pictures.check(png())
    assert (picture.media_type, picture.content) == ("image/png", png())
    assert len(picture.digest) == 64


def test_what_a_png_holds_beside_the_picture_is_dropped() -> None:
    told = png(1, 1, chunk(b"tEXt", b"Location\0at home"), chunk(b"eXIf", b"II*\0"))
    assert pictures.check(told + b"<script>alert(1)</script>").content == png()


@pytest.mark.parametrize(
    "broken",
    [
        png()[:-1],
        png()[:40],
        SIGNATURE,
        SIGNATURE + chunk(b"IEND"),
        SIGNATURE + chunk(b"IHDR", b"short") + chunk(b"IDAT") + chunk(b"IEND"),
        png().replace(b"IDAT", b"IDAX"),
        SIGNATURE + struct.pack(">I", 0xFFFFFFFF) + b"IHDR" + b"\0" * 40,
    ],
)
def test_a_broken_png_is_refused(broken: bytes) -> None:
    with pytest.raises(InvalidValue, match=r"damaged|cut off"):
        pictures.check(broken)


@pytest.mark.parametrize(("width", "height"), [(2049, 1), (1, 2049), (0, 1)])
def test_a_png_with_too_many_pixels_is_refused(width: int, height: int) -> None:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    with pytest.raises(InvalidValue, match="pixels"):
        pictures.check(SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT") + chunk(b"IEND"))


def test_an_svg_that_only_draws_comes_through() -> None:
    picture = pictures.check(GOOD_SVG)
    assert (picture.media_type, picture.content) == ("image/svg+xml", GOOD_SVG)


@pytest.mark.parametrize(
    "hostile",
    [
        svg("<script>alert(1)</script>"),
        svg('<path d="M0 0" onload="alert(1)"/>'),
        svg("", 'onload="alert(1)"'),
        svg('<a href="javascript:alert(1)"><path d="M0 0"/></a>'),
        svg('<image href="https://tracker.example.net/pixel.png"/>'),
        svg('<use href="https://example.net/x.svg#a"/>'),
        svg("<foreignObject><body xmlns='http://www.w3.org/1999/xhtml'/></foreignObject>"),
        svg("<style>@import url(https://example.net/x.css)</style>"),
        svg('<path d="M0 0" style="fill: url(https://example.net/x)"/>'),
        svg('<path d="M0 0" fill="url(https://example.net/x#a)"/>'),
        svg('<path d="M0 0" fill="url( &quot;//example.net/x&quot; )"/>'),
        svg('<path d="M0 0" fill="\\75 rl(//example.net)"/>'),
        svg('<set attributeName="href" to="javascript:alert(1)"/>'),
        svg('<animate attributeName="d"/>'),
        b'<!DOCTYPE svg [<!ENTITY a "aaaa">]>' + svg("<title>&a;</title>"),
        b'<?xml-stylesheet href="https://example.net/x.css"?>' + svg(""),
        b'<html xmlns="http://www.w3.org/1999/xhtml"/>',
        svg('<html:script xmlns:html="http://www.w3.org/1999/xhtml">alert(1)</html:script>'),
        svg("").decode().encode("utf-16"),
        svg("<g>" * 50_000 + "</g>" * 50_000),
        b"<svg",
        b"GIF89a",
        b"\xff\xd8\xff\xe0",
    ],
)  # fmt: skip
def test_an_svg_that_does_anything_else_is_refused(hostile: bytes) -> None:
    with pytest.raises(InvalidValue) as refused:
        pictures.check(hostile)
    assert refused.value.field == "logo"


@pytest.mark.parametrize("content", [b"", b"x" * (pictures.LARGEST + 1)])
def test_nothing_and_too_much_are_refused(content: bytes) -> None:
    with pytest.raises(InvalidValue):
        pictures.check(content)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_picture_or_a_sentence(noise: bytes) -> None:
    for content in (noise, SIGNATURE + noise, png()[:33] + noise, b"<svg " + noise):
        with contextlib.suppress(InvalidValue):
            assert pictures.check(content).content
