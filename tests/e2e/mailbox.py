# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What a person takes out of a mail."""

from __future__ import annotations

import re

from tests.fakes.smtp import Received


def pin_in(mail: Received) -> str:
    """The PIN, which stands on a line of its own and is the same in both halves."""
    (pin,) = re.findall(r"^ *(\d{6})$", mail.text, re.MULTILINE)
    assert pin in mail.html
    return pin


def link_in(mail: Received) -> str:
    """The registration link, the same in both halves; its token is behind the #."""
    (link,) = re.findall(r"^(http\S+/activate#\S+)$", mail.text, re.MULTILINE)
    assert link in mail.html
    return link
