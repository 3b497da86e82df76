# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The one rule for mail addresses: a bare addr-spec that any mail server takes (R28, T17)."""

from __future__ import annotations

import re

import email_validator
from email_validator import EmailNotValidError, validate_email

from ..errors import InvalidValue

MAX_LENGTH = 254  # RFC 5321 §4.5.3.1.3 leaves this much of a path between its angle brackets

# The library's documented switch. Whether mail for `.local` or `.test` arrives is known to the
# company's mail server, not to a list of names that cannot exist on the internet.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()


def check_address(value: str) -> str:
    """Return `value` as it goes on the envelope: ASCII, the domain in A-labels and lower case.

    One addr-spec and nothing around it (RFC 5321 §4.1.2 without quoted strings and address
    literals): no display name, angle bracket, comma, second address, space, line break or other
    control character; no local part that only SMTPUTF8 could carry (RFC 6531); at most 254
    characters. Raises InvalidValue(field="emails") that says in plain words what is wrong.
    """
    if _is_plain(value):
        local, _, domain = value.partition("@")
        return f"{local}@{domain.lower()}"
    if len(value) > MAX_LENGTH:
        raise _refused(f"It has {len(value)} characters; {MAX_LENGTH} are the most.")
    if not all(character.isprintable() for character in value):
        raise _refused("It contains a line break or another character that cannot be seen.")
    if "," in value or ";" in value:
        raise _refused("It must be one address, without commas and semicolons.")
    if "<" in value or ">" in value:
        raise _refused("Write the address alone, without a name and angle brackets.")
    try:
        checked = validate_email(
            value,
            allow_smtputf8=False,
            allow_quoted_local=False,
            allow_domain_literal=False,
            allow_display_name=False,
            strict=True,
            globally_deliverable=False,
            check_deliverability=False,
        )
    except EmailNotValidError:
        raise _refused(_why_not(value)) from None
    if checked.ascii_email is None or len(checked.ascii_email) > MAX_LENGTH:
        raise _refused("Its international form is too long.")
    return checked.ascii_email


# What nearly every address is: the library, which knows the rest, would say the same of it in
# sixty times the time, and a directory's first sync brings every one of them.
_PLAIN = re.compile(
    r"[A-Za-z0-9_]++(?:[.+-][A-Za-z0-9_]++)*+@"
    r"(?:[A-Za-z0-9]++(?:-[A-Za-z0-9]++)*+\.)++[A-Za-z]++"
)


def _why_not(value: str) -> str:
    """Say what is wrong in a sentence of ours, which is translated; the library's are not."""
    name, at, domain = value.partition("@")
    if not at or "@" in domain or not name or not domain:
        return "It needs one @, with a name before it and a domain behind it."
    if " " in value:
        return "It must not contain a space."
    if not name.isascii():
        return "Before the @, mail servers take plain letters only, without accents."
    if len(name) > 64:
        return "Before the @ there may be 64 characters at most."
    return "Look for a sign or a dot that does not belong there."


def _is_plain(value: str) -> bool:
    if len(value) > MAX_LENGTH or not _PLAIN.fullmatch(value):
        return False
    local, _, domain = value.partition("@")
    return len(local) <= 64 and max(map(len, domain.split("."))) <= 63


def _refused(why: str) -> InvalidValue:
    return InvalidValue(f"This e-mail address cannot be used. {why}", "emails")
