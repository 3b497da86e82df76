# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright connection`: directories at a shell, as the panel's Directories shows them."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path

import click

from .. import audit
from ..errors import KeywrightError
from ..models import Connection, Group, User
from ..models.directories import FILES
from ..pages.times import iso
from ..storage.db import transaction
from ..upstream import conflicts, connections, tally, tokens, traces
from ..upstream.connections import PatchReply, Profile, Scope
from .shell import data_option, open_installation, refusing, row_number


def _words(words: type[StrEnum]) -> click.Choice[str]:
    return click.Choice([word.value for word in words])


@click.group("connection")
def connection() -> None:
    """Directories: rights, latest requests, conflicts, their end."""


@connection.command("list")
@data_option
@refusing
def list_all(data: Path) -> None:
    """List directories: name, rights, profile, users, groups, requests and errors of a day."""
    open_installation(data)
    rows = list(Connection.select().where(Connection.profile != FILES).order_by(Connection.name))
    for row in rows:
        day = traces.hours(row)
        asked, refused = sum(h.requests for h in day), sum(h.errors for h in day)
        state = "retired" if row.retired_at else _many(tokens.living(row).count(), "token")
        figures = (
            _many(tally.living(User, row.id), "user"),
            _many(tally.living(Group, row.id), "group"),
            _many(asked, "request"),
            _many(refused, "error"),
            _many(conflicts.count(row), "conflict"),
            f"seen {_time(row.last_seen_at)}",
        )
        click.echo("  ".join((row.name, row.scope, row.profile, state, *figures)))
    if not rows:
        click.echo("No directories. Connect one: keywright token create --connection NAME")


@connection.command("set")
@data_option
@click.argument("name")
@click.option("--name", "new_name", help="Another name.")
@click.option("--scope", type=_words(Scope), help="What it may write.")
@click.option("--profile", type=_words(Profile), help="Which deviations are accepted.")
@click.option("--patch-reply", type=_words(PatchReply), help="Answer to a PATCH.")
@click.option(
    "--unique-group-names/--shared-group-names",
    default=None,
    help="Whether a second group of the same name is refused.",
)
@click.option(
    "--merge-bulk/--no-merge-bulk",
    "merges_bulk",
    default=None,
    help="Whether a Bulk POST of somebody who is there (by externalId) changes them.",
)
@refusing
def change(
    data: Path,
    name: str,
    new_name: str | None,
    scope: str | None,
    profile: str | None,
    patch_reply: str | None,
    unique_group_names: bool | None,
    merges_bulk: bool | None,
) -> None:
    """Change what is given about the directory NAME; it holds from its next request on."""
    open_installation(data)
    given = {
        "name": new_name,
        "scope": scope,
        "profile": profile,
        "patch_reply": patch_reply,
        "unique_group_names": unique_group_names,
        "merges_bulk": merges_bulk,
    }
    with transaction():
        row = connections.by_name(name)
        wanted = replace(
            connections.terms_of(row),
            **{key: value for key, value in given.items() if value is not None},  # type: ignore[arg-type]
        )
        changed = connections.change(row, wanted, audit.CLI)
    click.echo(f"Changed: {', '.join(changed)}." if changed else "Nothing was changed.")


@connection.command("requests")
@data_option
@click.argument("name")
@click.option("--errors", is_flag=True, help="Only what was refused.")
@click.option("--count", default=20, show_default=True, type=click.IntRange(1, traces.KEPT))
@refusing
def requests(data: Path, name: str, errors: bool, count: int) -> None:
    """Print the latest requests of the directory NAME, the newest first, without anybody's data."""
    open_installation(data)
    rows, _more = traces.page(connections.by_name(name), refused=errors, size=count)
    for row in rows:
        more = "  ".join(filter(None, (row.scim_type, row.quirks)))
        line = f"{iso(row.at)}  {row.method} {row.path}  {row.status}  {row.micros / 1000:.1f} ms"
        click.echo(f"{line}  {more}" if more else line)
    if not rows:
        click.echo("Nothing was refused." if errors else "It has asked nothing so far.")


@connection.command("conflicts")
@data_option
@click.argument("name")
@refusing
def list_conflicts(data: Path, name: str) -> None:
    """List names that the directory NAME wants and something else holds: number, name, holder."""
    open_installation(data)
    row, after, more = connections.by_name(name), 0, True
    while more:
        lines, more = conflicts.page(row, after=after)
        for line in lines:
            found = line.conflict
            holder = line.holder
            owner = holder.connection.name if holder is not None and holder.connection else "panel"
            held = f"held by {holder.resource_id} of {owner}" if holder is not None else "free now"
            click.echo(
                f"{found.id}  {found.attribute} {found.value}  {_many(found.seen, 'time')}  {held}"
            )
            after = found.id
    if not after:
        click.echo("No conflicts.")


@connection.command("hand-over")
@data_option
@click.argument("name")
@click.argument("number", type=row_number)
@refusing
def hand_over(data: Path, name: str, number: int) -> None:
    """Give the person who holds the name in conflict NUMBER to the directory NAME."""
    open_installation(data)
    with transaction():
        row = connections.by_name(name)
        user = conflicts.hand_over(conflicts.get(number, row), audit.CLI)
    click.echo(f"{user.user_name} belongs to {row.name} now; its next look-up finds this person.")


@connection.command("retire")
@data_option
@click.argument("name")
@refusing
def retire(data: Path, name: str) -> None:
    """Revoke the tokens of the directory NAME; its people stay as they are."""
    open_installation(data)
    with transaction():
        revoked = connections.retire(connections.by_name(name), audit.CLI)
    click.echo(
        f"{name} is retired, {_many(revoked, 'token')} revoked. Its people stay as they are."
    )


@connection.command("resume")
@data_option
@click.argument("name")
@refusing
def resume(data: Path, name: str) -> None:
    """Bring the retired directory NAME back; it needs a new token."""
    open_installation(data)
    with transaction():
        connections.resume(connections.by_name(name), audit.CLI)
    click.echo(f"{name} is back. Next: keywright token create --connection {name!r}")


@connection.command("delete")
@data_option
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do it; without this it is only told.")
@refusing
def delete(data: Path, name: str, yes: bool) -> None:
    """Forget the retired directory NAME; its people and groups become the panel's own."""
    open_installation(data)
    row = connections.by_name(name)
    held = connections.holdings(row)
    told = f"{_many(held.users, 'user')} and {_many(held.groups, 'group')}"
    if not yes:
        raise KeywrightError(f"{told} would become the panel's own. Say --yes to do it.")
    with transaction():
        connections.delete(row, audit.CLI)
    click.echo(f"{name} is deleted; {told} are the panel's own now.")


def _time(ms: int | None) -> str:
    return iso(ms) if ms else "never"


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
