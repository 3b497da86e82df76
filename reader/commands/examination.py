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
    well, about = True, ""
    findings = []
    for finding in doctor.examine(reader, options.state):
        well = well and finding.ok is not False
        findings.append(asdict(finding))
        if options.json:
            continue
        if finding.reader and finding.reader != about:
            about = finding.reader
            out(f"{about}:")
        mark = {True: "ok  ", False: "FAIL", None: "?   "}[finding.ok]
        indent = "  " if finding.reader else ""
        out(f"{indent}{mark} {finding.text}")
        if finding.mend:
            out(f"{indent}     → {finding.mend}")
    if options.json:
        out_json({"ok": well, "findings": findings})
    return OK if well else FAULT
