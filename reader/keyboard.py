# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Keys as they are typed at the terminal, with a time limit and no echo.

getpass waits for ever and shows nothing: a question at the desk ends when the server has
cancelled the job, and a new PIN is checked while it is typed.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable, Iterator

_SLICE = 0.2
_ENTER = ("\r", "\n")
_BACKSPACE = ("\x7f", "\b")
_GIVE_UP = ("\x1b", "\x04", "")  # Escape, Ctrl-D, end of input


class Keyboard:
    """Standard input. `interactive` is False when it is no terminal."""

    @property
    def interactive(self) -> bool:
        return sys.stdin.isatty()

    def line(
        self,
        changed: Callable[[str], None],
        seconds: float,
        cancelled: Callable[[], bool],
    ) -> str | None:
        """What was typed up to Enter; None at Escape, when cancelled, or when time is over.

        `changed` gets the whole text after each key, to show what may be shown. Raises
        KeyboardInterrupt at Ctrl-C.
        """
        until = time.monotonic() + seconds
        text = ""
        with self._raw():
            changed(text)
            while not cancelled() and time.monotonic() < until:
                key = self._key(_SLICE)
                if key is None:
                    continue
                if key in _ENTER:
                    return text
                if key in _GIVE_UP:
                    return None
                if key == "\x03":
                    raise KeyboardInterrupt
                if key in _BACKSPACE:
                    text = text[:-1]
                elif key.isprintable():
                    text += key
                changed(text)
        return None

    if sys.platform == "win32":

        @contextlib.contextmanager
        def _raw(self) -> Iterator[None]:
            yield

        def _key(self, seconds: float) -> str | None:
            import msvcrt

            until = time.monotonic() + seconds
            while not msvcrt.kbhit():
                if time.monotonic() > until:
                    return None
                time.sleep(0.02)
            key = msvcrt.getwch()
            if key in ("\x00", "\xe0"):  # the second half of an arrow or function key
                msvcrt.getwch()
                return "\x00"
            return key

    else:

        @contextlib.contextmanager
        def _raw(self) -> Iterator[None]:
            import termios

            terminal = sys.stdin.fileno()
            before = termios.tcgetattr(terminal)
            quiet = termios.tcgetattr(terminal)
            quiet[3] &= ~(termios.ECHO | termios.ICANON)
            # Nothing typed before the question was asked counts as an answer to it.
            termios.tcsetattr(terminal, termios.TCSAFLUSH, quiet)
            try:
                yield
            finally:
                termios.tcsetattr(terminal, termios.TCSADRAIN, before)

        def _key(self, seconds: float) -> str | None:
            terminal = sys.stdin.fileno()
            if not select.select([terminal], [], [], seconds)[0]:
                return None
            raw = os.read(terminal, 1)
            while raw and not _is_whole(raw):
                raw += os.read(terminal, 1)
            if raw == b"\x1b" and select.select([terminal], [], [], 0.05)[0]:
                # An arrow or function key: ESC [ or ESC O, parameters, one final byte.
                part = os.read(terminal, 1)
                while part and (part in b"[O" or not 0x40 <= part[0] <= 0x7E):
                    part = os.read(terminal, 1)
                return "\x00"
            return raw.decode("utf-8", "replace")


def _is_whole(raw: bytes) -> bool:
    """Whether these bytes are one UTF-8 character, or never will be."""
    first = raw[0]
    length = 1 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    return len(raw) >= length
