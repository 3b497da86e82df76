# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The command line: set up, serve, and what an operator does at a shell.

Every command exits 0 when it did what it says, 1 when it refused (one line on stderr says why)
and 2 when it was called wrongly.
"""

from __future__ import annotations

import os
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path

import click

from scim import deferred

from . import audit, directory, live_settings
from .app import KEYS, create_app, open_services
from .clock import HOUR, MINUTE
from .commands.connections import connection
from .commands.imports import import_file
from .commands.keys import key_group
from .commands.schemas import schema
from .commands.shell import data_option, open_installation, refusing, row_number
from .commands.streams import stream
from .csv_import import imports
from .desks import jobs, stations
from .errors import NotFound
from .issuing import drafts, terms
from .mails import alert_mails
from .models import Connection, Token, User
from .naming import fold
from .panel import access, kept_forms
from .processes import logs, supervisor
from .processes.worker import Hook, Worker
from .services import services as current_services
from .settings import ENV_FILE, PREFIX, load
from .storage.db import database, open_database, transaction
from .storage.migrate import migrate as apply_migrations
from .upstream import conflicts, guard, tokens, traces
from .vault import Vault


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keywright")
def main() -> None:
    """Keywright: from a company's directory to a working security key in each person's hand."""


@main.command()
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--base-url", required=True, help="Address that people will use: https://…")
@click.option("--organisation", help="Name that people will see; the panel can change it.")
@refusing
def init(data: Path, base_url: str, organisation: str | None) -> None:
    """Make a data folder: settings file, key files, database."""
    if (data / ENV_FILE).exists() or (data / KEYS).exists():
        raise click.ClickException(f"{data} is set up already; nothing was changed.")
    named = {"organisation": organisation} if organisation is not None else {}
    load(data, base_url=base_url, **named)  # refuse before anything is made
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    (data / ENV_FILE).write_text(
        "# Keywright's settings; the README explains each. Secrets may be given as …_FILE.\n"
        f"{PREFIX}BASE_URL={base_url}\n",
        encoding="utf-8",
    )
    (data / ENV_FILE).chmod(0o600)
    Vault.create(data / KEYS)
    services = open_services(data)
    apply_migrations(database)
    if organisation is not None and "organisation" not in services.fixed:
        live_settings.choose_organisation(organisation, audit.CLI, services)
    click.echo(f"Made {data}: settings in {ENV_FILE}, keys in {KEYS}/, database ready.")
    click.echo(f"Back up {KEYS}/ apart from the database: without it sealed data is lost.")
    click.echo("Next:")
    click.echo(f"  keywright owner-link --data {data}    # the first owner's one-time link")
    click.echo(f"  keywright serve --data {data}         # then open {services.settings.base_url}")


@main.command()
@data_option
@refusing
def migrate(data: Path) -> None:
    """Bring the database to this version's schema."""
    settings = load(data)
    applied = apply_migrations(open_database(settings.database_url))
    click.echo(f"Applied: {', '.join(applied)}" if applied else "Nothing to apply.")


@main.command()
@data_option
@click.option("--no-worker", is_flag=True, help="Web only; run `keywright worker` apart.")
@refusing
def serve(data: Path, no_worker: bool) -> None:
    """Serve the panel, SCIM and the stations, with one worker unless told otherwise."""
    services = open_installation(data)
    click.echo(f"Keywright on {services.settings.base_url} (Ctrl-C stops it)")
    children = [supervisor.web(services.settings)]
    if not no_worker:
        children.append(supervisor.worker(services.settings))
    database.close()
    raise SystemExit(supervisor.run(children))


@main.command()
@data_option
@refusing
def worker(data: Path) -> None:
    """Send mail and do what is due, until stopped."""
    logs.configure()
    services = open_installation(data)
    leavers = Hook("finish_leavers", MINUTE, _finish_leavers)
    ended = Hook("end_temporary_keys", MINUTE, terms.end_due)
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


def _finish_leavers() -> None:
    directory.finish_leavers(current_services().settings.leaver_grace_hours * HOUR)


@main.command("owner-link")
@data_option
@click.option("--recover", is_flag=True, help="Even though there is an owner (audited).")
@refusing
def owner_link(data: Path, recover: bool) -> None:
    """Print the one-time link that makes an owner: 15 minutes, one use."""
    services = open_installation(data)
    with transaction():
        token = access.make_owner_link(audit.CLI, recover=recover)
    click.echo(f"{services.settings.base_url}/owner#{token}")


@main.group()
def token() -> None:
    """Bearer tokens for directories."""


@token.command("create")
@data_option
@click.option("--connection", "name", required=True, help="The directory's name; made if new.")
@click.option("--days", default=180, show_default=True, help="How long it lives, at most 365.")
@click.option("--scope", type=click.Choice(["write", "users", "read"]), default="write")
@refusing
def token_create(data: Path, name: str, days: int, scope: str) -> None:
    """Print a new token. It is shown this once."""
    open_installation(data)
    with transaction():
        connection = Connection.get_or_none(Connection.name == name)
        if connection is None:
            connection = tokens.create_connection(name, audit.CLI, scope)
        _row, text = tokens.create(connection, days, audit.CLI)
    click.echo(text)


@token.command("list")
@data_option
@refusing
def token_list(data: Path) -> None:
    """List tokens: id, connection, scope, state, expiry, last use. Never the secret."""
    open_installation(data)
    rows = Token.select(Token, Connection).join(Connection).order_by(Token.id)
    for row in rows:
        state = "revoked" if row.revoked_at else "live"
        click.echo(
            f"{row.public_id}  {row.connection.name}  {row.connection.scope}  {state}  "
            f"expires {_day(row.expires_at)}  used {_day(row.last_used_at)}"
        )
    if not rows:
        click.echo("No tokens. Make one: keywright token create --connection NAME")


@token.command("revoke")
@data_option
@click.argument("public_id")
@refusing
def token_revoke(data: Path, public_id: str) -> None:
    """Revoke a token; the next request with it is refused."""
    open_installation(data)
    with transaction():
        row = tokens.revoke(public_id, audit.CLI)
    click.echo(f"Revoked {row.public_id} of {row.connection.name}.")


@main.group()
def user() -> None:
    """People, when the panel cannot be reached."""


@user.command("deactivate")
@data_option
@click.argument("user_name")
@refusing
def user_deactivate(data: Path, user_name: str) -> None:
    """Run the cascade for one person: sessions, links, mails and keys are dead at once."""
    open_installation(data)
    with transaction():
        person = User.get_or_none(User.user_name_key == fold(user_name), User.deleted_at.is_null())
        if person is None:
            raise NotFound(f"There is no user {user_name}.")
        directory.suspend(person, audit.CLI)
    click.echo(f"{person.user_name} is suspended, with every key.")


@main.group("departures")
def departures() -> None:
    """Mass departures that wait for a decision."""


@departures.command("list")
@data_option
@refusing
def departures_list(data: Path) -> None:
    """List what is held: number, directory, since when, how many people."""
    open_installation(data)
    waiting = guard.undecided()
    for held in waiting:
        users = User.select().where(User.departure == held).count()
        click.echo(f"{held.id}  {held.connection.name}  since {_day(held.started_at)}  {users}")
    if not waiting:
        click.echo("Nothing is held.")


@departures.command("approve")
@data_option
@click.argument("number", type=row_number)
@refusing
def departures_approve(data: Path, number: int) -> None:
    """They have left: revoke their keys after the grace time."""
    open_installation(data)
    with transaction():
        users = guard.approve(guard.get(number), audit.CLI)
    click.echo(f"Approved: {users} people have left.")


@departures.command("reject")
@data_option
@click.argument("number", type=row_number)
@refusing
def departures_reject(data: Path, number: int) -> None:
    """It was a mistake: bring the people and their keys back."""
    open_installation(data)
    with transaction():
        users = guard.reject(guard.get(number), audit.CLI)
    click.echo(f"Rejected: {users} people are back, with their keys.")


@main.group("station")
def station_group() -> None:
    """Desks with a reader."""


@station_group.command("code")
@data_option
@refusing
def station_code(data: Path) -> None:
    """Print a pairing code: eight digits, ten minutes, one use."""
    services = open_installation(data)
    with transaction():
        _row, code = stations.make_code(services.vault, audit.CLI)
    click.echo(code)


@main.group("audit")
def audit_group() -> None:
    """The audit log."""


@audit_group.command("verify")
@data_option
@click.option("--anchor", help="What `audit head` printed earlier, kept on another host.")
@refusing
def audit_verify(data: Path, anchor: str | None) -> None:
    """Walk the chain: finds edited, missing and reordered rows and a cut tail."""
    open_installation(data)
    verdict = audit.verify(audit.Anchor.parse(anchor) if anchor else None)
    if not verdict.whole:
        raise click.ClickException(f"The audit log is broken: {verdict.message}.")
    click.echo(f"{verdict.rows} rows, chain whole.")


@audit_group.command("head")
@data_option
@refusing
def audit_head(data: Path) -> None:
    """Print where the log stands, to keep on another host for `audit verify --anchor`."""
    open_installation(data)
    click.echo(str(audit.head()))


@main.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("data"),
    show_default=True,
)
@click.option("--port", default=8080, show_default=True)
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Written as JSON once the product answers.",
)
@refusing
def demo(data: Path, port: int, ready_file: Path | None) -> None:
    """Run the whole product on this machine: panel, SCIM, worker, mailbox, a software card."""
    from .demo import run

    raise SystemExit(run.demo(data, port, ready_file))


@main.command()
@refusing
def tour() -> None:
    """Run the main job once in this terminal: push, assign, tap, PIN, sign in, leave, dead key."""
    from .demo import tour as guide

    raise SystemExit(guide.run())


def _day(ms: int | None) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d") if ms else "never"


main.add_command(connection)
main.add_command(schema)
main.add_command(key_group)
main.add_command(stream)
main.add_command(import_file)


if __name__ == "__main__":
    os.umask(0o077)
    main()
