# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Who did it, in the reader's language."""

from __future__ import annotations

from flask_babel import gettext as _

from provisioning.audit import CLI, LINK_HOLDER, NOBODY


def who(name: str) -> str:
    """Return an actor's name in words: those who have no name of their own are called in English.

    Anybody may bear such a name, and is then called the same in another language.
    """
    nameless: dict[str, str] = {
        CLI.name: _("command line"),
        LINK_HOLDER.name: _("whoever holds the link"),
        NOBODY.name: _("somebody not signed in"),
    }
    return nameless.get(name, name)
