# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright worker`: what is done without anybody asking, and how often."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from scim import deferred

from .. import directory
from ..app import create_app
from ..clock import HOUR, MINUTE
from ..csv_import import imports
from ..desks import jobs
from ..issuing import drafts, terms
from ..mails import alert_mails
from ..panel import kept_forms
from ..processes import logs
from ..processes.worker import Hook, Worker
from ..services import services as current_services
from ..upstream import conflicts, traces
from .shell import data_option, open_installation, refusing


@click.command()
@data_option
@refusing
def worker(data: Path) -> None:
    """Send mail and do what is due, until stopped."""
    logs.configure()
    services = open_installation(data)
    leavers = Hook("finish_leavers", MINUTE, _finish_leavers)
    ended = Hook("end_temporary_keys", MINUTE, _end_temporary_keys)
    alerts = Hook("alerts", MINUTE, _tell_alerts)
    pins = Hook("forget_old_pins", HOUR, jobs.forget_old_pins)
    requests = Hook("forget_old_requests", HOUR, deferred.forget_old)
    wizards = Hook("forget_abandoned_wizards", HOUR, drafts.forget_abandoned)
    forms = Hook("forget_kept_forms", HOUR, kept_forms.forget_old)
    asked = Hook("sweep_traces", HOUR, traces.sweep)
    files = Hook("erase_imports", MINUTE, imports.sweep)
    wanted = Hook("sweep_conflicts", HOUR, conflicts.sweep)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    hooks = [leavers, ended, alerts, pins, requests, wizards, forms, asked, wanted, files]
    Worker(create_app(services), services, hooks).run(stop)


def _tell_alerts() -> None:
    alert_mails.tell(current_services())


def _end_temporary_keys() -> None:
    terms.end_due(current_services())


def _finish_leavers() -> None:
    directory.finish_leavers(current_services().settings.leaver_grace_hours * HOUR)
