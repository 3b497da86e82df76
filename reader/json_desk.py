# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The desk of another program: `keywright-reader run --desk-json`.

One JSON object a line. On standard output, what is to be shown:

    {"state": "tap", "text": "…", "reader": "…", "organisation": "…", "server": "…",
     "op": "enrol", "user": "…", "key": "…", "code": "", "seconds": 60, "fault": null,
     "station": "…", "card": "…", "notice": ""}

and what is asked, with a number that the answer may repeat:

    {"prompt": "pin", "id": 1, "text": "…", "seconds": 120, "tries": 8}
    {"prompt": "new_pin", "id": 2, "text": "…", "seconds": 120, "min_length": 6,
     "checks": [{"text": "at least 6 characters"}, …]}
    {"prompt": "confirm", "id": 3, "text": "…", "seconds": 60}

A refused new PIN is asked for again, each check with `"holds": true` or `false`. A question that
nobody needs answered any more is withdrawn: `{"withdrawn": 2}`.

On standard input, one answer each: `{"pin": "…"}`, `{"confirm": true}` or `{"cancel": true}`,
each with `"id"` or without. Answers to anything but the open question are dropped. End of input
gives up the open question and every later one.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, TextIO

from reader.desk import DeskState, Question
from reader.pin_rules import PinRules

_SLICE = 0.1


class JsonDesk:
    attended = True

    def __init__(self, out: TextIO | None = None, lines: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._lines = lines or sys.stdin
        self._lock = threading.Lock()
        self._answers: queue.Queue[Mapping[str, Any]] = queue.Queue()
        self._closed = threading.Event()
        self._number = 0
        threading.Thread(target=self._listen, name="desk input", daemon=True).start()

    def show(self, state: DeskState) -> None:
        self._send(
            {
                "state": state.step.value,
                "text": state.text,
                "reader": state.reader,
                "organisation": state.organisation,
                "server": state.server,
                "op": state.op,
                "user": state.user,
                "key": state.key,
                "code": state.code,
                "seconds": state.seconds,
                "fault": state.fault.value if state.fault else None,
                "station": state.station,
                "card": state.card,
                "notice": state.notice,
            }
        )

    def ask_pin(self, question: Question) -> str | None:
        return self._text(self._ask("pin", question, {"tries": question.tries}))

    def ask_new_pin(self, question: Question) -> str | None:
        rules = question.rules or PinRules(min_length=4)
        checks: list[dict[str, Any]] = [{"text": check.text} for check in rules.checks("")]
        while True:
            more = {"min_length": rules.min_length, "checks": checks}
            pin = self._text(self._ask("new_pin", question, more))
            if pin is None or rules.allow(pin):
                return pin
            checks = [{"text": one.text, "holds": one.holds} for one in rules.checks(pin)]

    def confirm(self, question: Question) -> bool:
        answer = self._ask("confirm", question, {})
        return answer is not None and answer.get("confirm") is True

    def _text(self, answer: Mapping[str, Any] | None) -> str | None:
        pin = (answer or {}).get("pin")
        return pin if isinstance(pin, str) and pin else None

    def _ask(
        self, prompt: str, question: Question, more: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        while not self._answers.empty():  # sent before anything was asked
            self._answers.get_nowait()
        self._number += 1
        number = self._number
        head = {"prompt": prompt, "id": number, "text": question.text}
        self._send({**head, "seconds": int(question.seconds), **more})
        until = time.monotonic() + question.seconds
        while time.monotonic() < until and not question.cancelled():
            try:
                answer = self._answers.get(timeout=_SLICE)
            except queue.Empty:
                if self._closed.is_set():
                    break
                continue
            if answer.get("id") not in (None, number):
                continue
            if answer.get("cancel") is True:
                return None
            if ("confirm" if prompt == "confirm" else "pin") in answer:
                return answer
        self._send({"withdrawn": number})
        return None

    def _listen(self) -> None:
        for line in self._lines:
            try:
                answer = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(answer, dict):
                self._answers.put(answer)
        self._closed.set()

    def _send(self, message: Mapping[str, Any]) -> None:
        with self._lock:
            self._out.write(json.dumps(message) + "\n")
            self._out.flush()
