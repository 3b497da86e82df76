# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""`keywright key`: what needs no card; what takes one is in `cards`."""

from __future__ import annotations

from pathlib import Path

import click

from .. import audit, keys
from ..desks import jobs
from ..issuing import activations
from ..lifecycle import KeyState, Reason
from ..mails import notices
from ..models import SecurityKey, User
from ..pages import times
from ..storage.db import transaction
from .shell import data_option, open_installation, person, refusing

_MOST = 1_000
_HOLDS = (Reason.ON_HOLD, Reason.LOST, Reason.STOLEN, Reason.DAMAGED)
_ENDS = (Reason.LOST, Reason.STOLEN, Reason.DAMAGED, Reason.RETURNED, Reason.CANCELLED)
_STATES = [state.value for state in KeyState if state is not KeyState.DRAFT]


def _words(reasons: tuple[Reason, ...]) -> click.Choice[str]:
    return click.Choice([reason.value for reason in reasons])


@click.group("key")
def key_group() -> None:
    """Security keys and cards, as in the panel, from a shell or a script."""


@key_group.command("list")
@data_option
@click.option("--user", "user_name", help="Of this person only.")
@click.option("--state", type=click.Choice(_STATES))
@refusing
def list_keys(data: Path, user_name: str | None, state: str | None) -> None:
    """List keys, the newest first: id, state, reason, person, name, model, end."""
    open_installation(data)
    query = (
        SecurityKey.select(SecurityKey, User).join(User).where(SecurityKey.state != KeyState.DRAFT)
    )
    if user_name:
        query = query.where(SecurityKey.user == person(user_name))
    if state:
        query = query.where(SecurityKey.state == state)
    rows = list(query.order_by(SecurityKey.id.desc()).limit(_MOST))
    for key in rows:
        ends = f"  ends {times.iso(key.ends_at)}" if key.ends_at else ""
        click.echo(
            f"{key.resource_id}  {key.state}  {key.reason or '-'}  {_holder(key)}  "
            f"{key.name}  {key.model or '-'}{ends}"
        )
    if not rows:
        click.echo("No keys.")


@key_group.command("suspend")
@data_option
@click.argument("key_id")
@click.option("--reason", type=_words(_HOLDS), default=Reason.ON_HOLD.value, show_default=True)
@refusing
def suspend(data: Path, key_id: str, reason: str) -> None:
    """Stop a key for now; `resume` undoes it."""
    open_installation(data)
    with transaction():
        key = keys.get_key(key_id)
        jobs.suspend_key(key, Reason(reason), audit.CLI)
    stopped = "is suspended"
    if key.state == KeyState.NEEDS_RESET:
        stopped = "is stopped, and its card may carry a PIN already: reset it"
    click.echo(f"{key.name} {stopped}. {_left(key)}")


@key_group.command("resume")
@data_option
@click.argument("key_id")
@refusing
def resume(data: Path, key_id: str) -> None:
    """Let a suspended key go on."""
    open_installation(data)
    with transaction():
        key = keys.get_key(key_id)
        keys.resume(key, audit.CLI)
    click.echo(f"{key.name} is {key.state} again.")


@key_group.command("revoke")
@data_option
@click.argument("key_id")
@click.option("--reason", type=_words(_ENDS), default=Reason.CANCELLED.value, show_default=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@refusing
def revoke(data: Path, key_id: str, reason: str, yes: bool) -> None:
    """End a key for ever; says first what its holder has left."""
    services = open_installation(data)
    key = keys.get_key(key_id)
    if not yes:
        click.echo(f"{key.name} never works again; its history stays. {_left(key)}")
        click.confirm("Revoke it?", abort=True)
    with transaction():
        key = keys.get_key(key_id)
        activations.cancel(key, audit.CLI)
        jobs.cancel_for_key(key, audit.CLI)
        keys.revoke(key, Reason(reason), audit.CLI)
        notices.key_revoked(key, audit.CLI, services)
    click.echo(f"{key.name} is revoked.")


def _holder(key: SecurityKey) -> str:
    return key.user.user_name if key.user is not None else "-"


def _left(key: SecurityKey) -> str:
    if key.user is None:
        return "It is nobody's."
    others = [k for k in keys.of_user(key.user) if k.state == KeyState.ACTIVE and k != key]
    name = key.user.user_name
    return f"{name} has {len(others)} other working key{'s' if len(others) != 1 else ''}."
