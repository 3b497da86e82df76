# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`doctor`: what is wrong at this desk."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from reader import doctor
from reader.card_reader import CardReader
from reader.commands import pcsc
from reader.commands.console import FAULT, OK, Quit, out, out_json


def examine(options: argparse.Namespace) -> int:
    reader: CardReader | None
    try:
        reader = pcsc.reader_named(options.reader)
    except Quit:
        reader = None
    well = True
    findings = []
    for finding in doctor.examine(reader, options.state):
        well = well and finding.ok is not False
        findings.append(asdict(finding))
        if not options.json:
            mark = {True: "ok  ", False: "FAIL", None: "?   "}[finding.ok]
            out(f"{mark} {finding.text}")
            if finding.mend:
                out(f"     → {finding.mend}")
    if options.json:
        out_json({"ok": well, "findings": findings})
    return OK if well else FAULT
