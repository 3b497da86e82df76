# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The window on the desk: server, station, reader, card, whose job it is and what to do now.

Tk, because Python brings it on every system. It opens no port: it is the program's own window.
"""

from __future__ import annotations

import contextlib
import queue
import time
import tkinter as tk
from tkinter import ttk

from reader.choice import ANY
from reader.desk import DeskState, Step, printable
from reader.pin_rules import PinRules, normal
from reader.window_desk import Asked, Ended, Prompt, WindowDesk, Withdrawn

_LOOK_MS = 50
_LONG = 120
_INK, _QUIET, _PAPER, _LINE = "#1b1f2a", "#5a6274", "#ffffff", "#d9dde6"
_TONES = {
    Step.OFFLINE: "#8a4b00",
    Step.NO_READER: "#8a4b00",
    Step.CARD_BUSY: "#8a4b00",
    Step.TAP: "#3538cd",
    Step.REMOVE: "#3538cd",
    Step.CONFIRM: "#3538cd",
    Step.PIN: "#3538cd",
    Step.DONE: "#12663a",
    Step.FAULT: "#a3161f",
    Step.CANCELLED: "#5a6274",
}
_URGENT = {Step.TAP, Step.REMOVE, Step.CONFIRM, Step.PIN}
_MARK = {True: "✓", False: "·"}
FACTS = ("Server", "Station", "Reader", "Card", "For", "Key")


class Window:
    """Shows what a `WindowDesk` is told until it ends or the person closes it.

    Raises tk.TclError where there is no display.
    """

    def __init__(self, desk: WindowDesk, title: str = "Keywright Reader") -> None:
        self._desk = desk
        self._prompt: Prompt | None = None
        self._until: float | None = None
        self.root = tk.Tk(className="keywright-reader")
        self.root.title(title)
        self.root.configure(background=_PAPER)
        self.root.minsize(460, 420)
        self.root.protocol("WM_DELETE_WINDOW", self.close)
        _style()
        page = ttk.Frame(self.root, padding=24)
        page.pack(fill="both", expand=True)
        self.now = ttk.Label(page, style="Now.TLabel", wraplength=420, justify="left")
        self.now.pack(anchor="w", fill="x")
        self.left = ttk.Label(page, style="Quiet.TLabel")
        self.left.pack(anchor="w", pady=(4, 0))
        self.code = ttk.Label(page, style="Code.TLabel")
        self.code.pack(anchor="w")
        self.form = ttk.Frame(page)
        self.form.pack(anchor="w", fill="x", pady=12)
        ttk.Separator(page).pack(fill="x", pady=(0, 12))
        grid = ttk.Frame(page)
        grid.pack(anchor="w", fill="x")
        grid.columnconfigure(1, weight=1)
        self.facts: dict[str, ttk.Label] = {}
        for row, name in enumerate(FACTS):
            ttk.Label(grid, text=name, style="Quiet.TLabel").grid(
                row=row, column=0, sticky="nw", padx=(0, 16), pady=2
            )
            self.facts[name] = ttk.Label(grid, wraplength=320, justify="left")
            self.facts[name].grid(row=row, column=1, sticky="w", pady=2)
        self.readers = ttk.Combobox(grid, state="readonly", width=36)
        self.readers.bind("<<ComboboxSelected>>", lambda _event: self._choose())
        self._readers_label = ttk.Label(grid, text="Use reader", style="Quiet.TLabel")
        self._listed: tuple[list[str], str] = ([], ANY)
        self.notice = ttk.Label(page, style="Notice.TLabel", wraplength=420, justify="left")
        self.notice.pack(anchor="w", fill="x", pady=(12, 0))

    def run(self) -> None:
        """Until closed; the main thread's."""
        self.root.after(0, self._look)
        self.root.mainloop()

    def close(self) -> None:
        """The person is done: open questions are given up, the work is told to end."""
        self._desk.closed.set()
        self._answer(None)
        with contextlib.suppress(tk.TclError):
            self.root.destroy()

    # What comes from the desk

    def _look(self) -> None:
        while True:
            try:
                message = self._desk.messages.get_nowait()
            except queue.Empty:
                break
            match message:
                case DeskState():
                    self._show(message)
                case Prompt():
                    self._ask(message)
                case Withdrawn():
                    if message.prompt is self._prompt:
                        self._clear()
                case Ended():
                    if not message.text:
                        self.close()
                        return
                    self._end(message.text)
        self._count_down()
        self._offer()
        if not self._desk.closed.is_set():
            self.root.after(_LOOK_MS, self._look)

    def _show(self, state: DeskState) -> None:
        self._say(state.text, _TONES.get(state.step, _INK))
        self._until = None if state.seconds is None else time.monotonic() + state.seconds
        self.code.configure(text=printable(state.code, 20))
        server = printable(state.server, 100)
        if state.organisation:
            server = f"{printable(state.organisation, 80)} ({server})"
        for name, text in zip(
            FACTS,
            (server, state.station, state.reader, state.card, state.user, state.key),
            strict=True,
        ):
            self.facts[name].configure(text=printable(text, 120) or "–")
        self.notice.configure(text=printable(state.notice, 300))
        if state.step in _URGENT:
            self._come_forward()

    # Which reader

    def _offer(self) -> None:
        """List the readers where there is something to choose; as they come and go."""
        choice = self._desk.choice
        if choice is None:
            return
        names = [ANY, *choice.offered]
        if choice.is_missing:
            names.append(choice.name)
        # Only when it is news: the person may just be choosing another one.
        if (names, choice.now) == self._listed:
            return
        self._listed = names, choice.now
        self.readers.configure(values=[_any_or(name) for name in names])
        self.readers.current(names.index(choice.now))
        if len(names) < 3:  # any reader, and the one there is
            self.readers.grid_remove()
            self._readers_label.grid_remove()
        else:
            row = len(FACTS)
            self._readers_label.grid(row=row, column=0, sticky="w", padx=(0, 16), pady=(8, 2))
            self.readers.grid(row=row, column=1, sticky="w", pady=(8, 2))

    def _choose(self) -> None:
        choice, index = self._desk.choice, self.readers.current()
        if choice is None or index < 0:
            return
        try:
            choice.choose(self._listed[0][index])
        except OSError:
            self.notice.configure(text="The choice of the reader cannot be kept on this computer.")

    def _end(self, text: str) -> None:
        self._clear()
        self._say(text, _TONES[Step.FAULT])
        self._until = None
        ttk.Button(self.form, text="Close", command=self.close).pack(anchor="w")

    def _say(self, text: str, tone: str) -> None:
        style = "Now.TLabel" if len(text) < _LONG else "Long.TLabel"
        self.now.configure(text=printable(text, 900), foreground=tone, style=style)

    def _count_down(self) -> None:
        left = None if self._until is None else int(max(self._until - time.monotonic(), 0))
        self.left.configure(text="" if left is None else f"{left} seconds left")

    def _come_forward(self) -> None:
        """Somebody has to do something: over what lies above, but without keeping it there."""
        self.root.deiconify()
        self.root.lift()
        self.root.attributes("-topmost", True)
        self.root.after(500, self._stay_below)

    def _stay_below(self) -> None:
        with contextlib.suppress(tk.TclError):
            self.root.attributes("-topmost", False)

    # What is asked

    def _ask(self, prompt: Prompt) -> None:
        self._clear()
        self._prompt = prompt
        self._say(prompt.question.text, _TONES[Step.PIN])
        self._until = time.monotonic() + prompt.question.seconds
        if prompt.asked is Asked.CONFIRM:
            self._buttons("Yes, I agree", lambda: self._answer(True), "No", default=False)
        elif prompt.asked is Asked.PIN:
            self._ask_pin(prompt)
        else:
            self._ask_new_pin(prompt.question.rules or PinRules(min_length=4))
        self._come_forward()

    def _ask_pin(self, prompt: Prompt) -> None:
        tries = prompt.question.tries
        if tries is not None:
            self._note(f"{tries} tries left.")
        entry = self._entry("PIN")
        entry.focus_set()
        self._buttons("OK", lambda: self._answer(entry.get()), "Give up", default=True)

    def _ask_new_pin(self, rules: PinRules) -> None:
        first, again = self._entry("New PIN"), self._entry("The same again")
        checks = ttk.Label(self.form, style="Quiet.TLabel", justify="left")
        checks.pack(anchor="w", pady=4)

        def look(text: str) -> bool:
            listed = rules.checks(text)
            checks.configure(text="\n".join(f"{_MARK[one.holds]} {one.text}" for one in listed))
            return True  # for Tk: the edit stands

        def take() -> None:
            if not rules.allow(first.get()):
                return
            if normal(first.get()) != normal(again.get()):
                checks.configure(text="The two differ.")
                return
            self._answer(first.get())

        # Asked before each edit, pasting too; %P is the text that it would leave.
        first.configure(validate="key", validatecommand=(self.root.register(look), "%P"))
        look("")
        first.focus_set()
        self._buttons("OK", take, "Give up", default=True)

    def _entry(self, label: str) -> ttk.Entry:
        ttk.Label(self.form, text=label, style="Quiet.TLabel").pack(anchor="w")
        entry = ttk.Entry(self.form, show="●", width=32)
        entry.pack(anchor="w", pady=(0, 6))
        return entry

    def _note(self, text: str) -> None:
        ttk.Label(self.form, text=text, style="Quiet.TLabel").pack(anchor="w", pady=(0, 6))

    def _buttons(self, yes: str, do: object, no: str, *, default: bool) -> None:
        row = ttk.Frame(self.form)
        row.pack(anchor="w", pady=(6, 0))
        agree = ttk.Button(row, text=yes, command=do)  # type: ignore[arg-type]
        agree.pack(side="left", padx=(0, 8))
        give_up = ttk.Button(row, text=no, command=lambda: self._answer(None))
        give_up.pack(side="left")
        self.root.bind("<Escape>", lambda _event: self._answer(None))
        if default:
            self.root.bind("<Return>", lambda _event: agree.invoke())
        else:
            # What cannot be undone takes a click on it, never an Enter meant for something else.
            give_up.focus_set()

    def _answer(self, answer: str | bool | None) -> None:
        prompt, self._prompt = self._prompt, None
        if prompt is not None:
            prompt.answer.put(answer)
            with contextlib.suppress(tk.TclError):
                self._clear()

    def _clear(self) -> None:
        """No question stands open, and no PIN in a field."""
        self._prompt = None
        self.root.unbind("<Return>")
        self.root.unbind("<Escape>")
        for child in self.form.winfo_children():
            child.destroy()


def _any_or(name: str) -> str:
    return printable(name, 80) if name != ANY else "Any reader: the tap chooses"


def _style() -> None:
    style = ttk.Style()
    style.theme_use("clam")
    style.configure(".", background=_PAPER, foreground=_INK, font=("TkDefaultFont", 11))
    style.configure("Now.TLabel", font=("TkDefaultFont", 17, "bold"))
    style.configure("Long.TLabel", font=("TkDefaultFont", 13, "bold"))
    style.configure("Quiet.TLabel", foreground=_QUIET)
    style.configure("Notice.TLabel", foreground=_TONES[Step.OFFLINE])
    style.configure("Code.TLabel", font=("TkFixedFont", 34, "bold"))
    style.configure("TButton", padding=(14, 8))
    style.configure("TCombobox", padding=6)
    style.map("TCombobox", fieldbackground=[("readonly", _PAPER)])
    style.configure("TSeparator", background=_LINE)
