# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from email.headerregistry import Address
from email.utils import parseaddr

import pytest
from email_validator import validate_email
from hypothesis import example, given, settings
from hypothesis import strategies as st

from provisioning.errors import InvalidValue
from provisioning.mails import addresses
from provisioning.mails.addresses import check_address

REFUSED = {
    "a line break and a header": "ada@example.com\r\nBcc: thief@example.net",
    "a bare line feed": "ada@example.com\n",
    "a bare carriage return": "ada\r@example.com",
    "a null": "ada@example.com\x00",
    "a vertical tab": "ada\x0b@example.com",
    "a delete character": "ada\x7f@example.com",
    "a line separator": "ada\u2028@example.com",
    "an invisible space": "ada@exa\u200bmple.com",
    "a turned direction": "ada\u202e@example.com",
    "an address in front in brackets": "<evil@example.net> ada@example.com",
    "a display name": "Ada Lovelace <ada@example.com>",
    "brackets alone": "<ada@example.com>",
    "two addresses": "ada@example.com,grace@example.com",
    "two addresses by semicolon": "ada@example.com;grace@example.com",
    "two addresses by space": "ada@example.com grace@example.com",
    "a source route": "@relay.example:ada@example.com",
    "a percent route's second at": "ada@example.com@example.net",
    "a comment": "ada(evil@example.net)@example.com",
    "a quoted local part": '"ada lovelace"@example.com',
    "an address literal": "ada@[127.0.0.1]",
    "a space before": " ada@example.com",
    "a space after": "ada@example.com ",
    "an accent that needs SMTPUTF8": "adä@example.com",
    "a full-width letter": "ａda@example.com",
    "no at sign": "ada.example.com",
    "nothing": "",
    "no local part": "@example.com",
    "no domain": "ada@",
    "two dots": "ada@example..com",
    "255 characters": "ada@" + ".".join(["x" * 49] * 5) + ".c",
    "a local part of 65": "a" * 65 + "@example.com",
    "a megabyte": "a" * 1_000_000 + "@example.com",
    "a lone surrogate": "ada\ud800@example.com",
}


@pytest.mark.req("R28")
@pytest.mark.parametrize("address", REFUSED.values(), ids=REFUSED.keys())
def test_an_address_that_could_reach_somebody_else_is_refused(address: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        check_address(address)
    assert refusal.value.field == "emails"
    assert str(refusal.value).startswith("This e-mail address cannot be used. ")
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 250


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("ada.example.com", "It needs one @, with a name before it and a domain behind it."),
        ("ada@example.com@example.net", "It needs one @"),
        ("@example.com", "It needs one @"),
        ("ada lovelace@example.com", "It must not contain a space."),
        ("adä@example.com", "without accents."),
        ("a" * 65 + "@example.com", "64 characters at most."),
        ("ada@example..com", "Look for a sign or a dot that does not belong there."),
    ],
)
def test_the_sentence_says_what_to_look_for(address: str, why: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        check_address(address)
    assert why in str(refusal.value)


@pytest.mark.parametrize(
    ("address", "envelope"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada.Lovelace+keys@EXAMPLE.com", "Ada.Lovelace+keys@example.com"),
        ("o'brien@example.com", "o'brien@example.com"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@corp.local", "ada@corp.local"),
        ("ada@contoso.test", "ada@contoso.test"),
        ("ada@localhost", "ada@localhost"),
        ("ada@" + ".".join(["x" * 49] * 5), "ada@" + ".".join(["x" * 49] * 5)),
    ],
)
def test_an_ordinary_address_becomes_its_envelope_form(address: str, envelope: str) -> None:
    assert check_address(address) == envelope


@pytest.mark.req("R28")
@settings(deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.from_regex(r"[a-z<>,;@:.\r\n\" \t()]{1,20}@[a-z<>,@.\r\n -]{1,20}", fullmatch=True),
        st.emails(),
    )
)
@example("a@b")
def test_whatever_passes_means_the_same_to_every_parser(text: str) -> None:
    try:
        envelope = check_address(text)
    except InvalidValue:
        return
    assert envelope.isascii()
    assert envelope.isprintable()
    assert len(envelope) <= 254
    assert not set(envelope) & set(' ,;:<>()[]"\\')
    assert parseaddr(envelope) == ("", envelope)
    assert Address(addr_spec=envelope).addr_spec == envelope
    assert check_address(envelope) == envelope


_part = st.text("abcXYZ019_+-.", max_size=70)


@pytest.mark.req("R28")
@settings(max_examples=500)
@given(local=_part, domain=st.one_of(_part, st.from_regex(r"([a-z-]{1,8}\.){0,3}[A-Za-z]{1,66}")))
def test_a_plain_address_is_read_as_the_library_reads_it(local: str, domain: str) -> None:
    value = f"{local}@{domain}"
    if addresses._is_plain(value):
        checked = validate_email(
            value,
            allow_smtputf8=False,
            strict=True,
            globally_deliverable=False,
            check_deliverability=False,
        )
        assert check_address(value) == checked.ascii_email


@pytest.mark.req("R28")
def test_most_addresses_are_plain() -> None:
    for value in ("ada@example.org", "Ada.Lovelace-King+desk@Mail.Example-1.co.uk"):
        assert addresses._is_plain(value)
        assert check_address(value).startswith(value.partition("@")[0])
    for value in ("a@localhost", "a..b@example.org", "ä@example.org", "a@xn--ls8h.example"):
        assert not addresses._is_plain(value)
