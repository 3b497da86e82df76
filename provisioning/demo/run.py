# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Start everything, say where to go, stop everything."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from reader.card_reader import CardReader
from reader.desk import Desk
from reader.identity import FILE as IDENTITY
from reader.identity import Identity, IdentityError
from reader.pairing import pair
from reader.software_reader import SoftwareReader
from reader.station import Station as DeskStation
from reader.station import StationRevoked

from ..desks import stations
from ..errors import ConfigurationError
from ..models import Station
from ..processes import supervisor
from ..services import Services
from ..storage.db import database, transaction
from . import folder
from .desk import CardBox, Slot, WebDesk
from .mailbox import Mailbox
from .site import Site, make_site

STATION = "Demo desk"
_ANSWERS_WITHIN = 30.0


@dataclass(frozen=True)
class Running:
    """Everything that a script or a person needs of a running demo."""

    services: Services
    panel_url: str
    sign_in_url: str
    scim_base_url: str
    scim_token: str
    mailbox_url: str
    desk_url: str
    desk: WebDesk
    mailbox: Mailbox

    def as_json(self) -> dict[str, object]:
        """Return the ready file's content."""
        names = (
            "panel_url",
            "sign_in_url",
            "scim_base_url",
            "scim_token",
            "mailbox_url",
            "desk_url",
        )
        return {**{name: getattr(self, name) for name in names}, "pid": os.getpid()}


def demo(data: Path, port: int, ready_file: Path | None) -> int:
    """Run until SIGTERM or Ctrl-C; returns the exit code."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    with running(data, port, stop) as product:
        _say(product)
        if ready_file is not None:
            _write_whole(ready_file, json.dumps(product.as_json(), indent=1))
        try:
            stop.wait()
        finally:
            if ready_file is not None:
                ready_file.unlink(missing_ok=True)
            click.echo("Stopping.")
    return 0


@contextmanager
def running(
    data: Path, port: int, stop: threading.Event, reader: Slot | None = None
) -> Iterator[Running]:
    """Have the whole product running inside the `with`; `stop` is set if the web server ends.

    Raises ConfigurationError when a port is taken or the server does not come up.
    """
    data = data.absolute()
    folder.refuse_real(data)
    base_url = f"http://localhost:{port}"
    _check_free(port)
    smtp_port, site_port = free_port(), free_port(port + 1)
    site_url = f"http://localhost:{site_port}"
    os.environ.update(folder.environment(data, base_url, smtp_port=smtp_port, site_url=site_url))
    with ExitStack() as stack:
        services = folder.prepare(data)
        stack.callback(database.close)
        cards = CardBox(data / "cards")
        entry = folder.enter(data, services, cards)
        mailbox = Mailbox(data / "mail", smtp_port)
        mailbox.start()
        stack.callback(mailbox.stop)
        reader = reader or SoftwareReader("Software reader")
        desk = WebDesk(reader, cards, folder.OWNER, entry.owner_pin)
        stack.callback(cards.save)
        secret = services.vault.keyed_hash("demo site", b"").hex()
        site = Site(make_site(mailbox, desk, panel_url=base_url, secret=secret), site_port)
        site.start()
        stack.callback(site.stop)
        children = [supervisor.web(services.settings), supervisor.worker(services.settings)]
        for child in children:
            child.log = data / "keywright.log"
        halt = threading.Event()
        keeper = threading.Thread(target=_keep, args=(children, halt, stop), daemon=True)
        keeper.start()
        stack.callback(keeper.join, 40)
        stack.callback(halt.set)
        _wait_until_up(base_url, stop, data / "keywright.log")
        identity = _paired(services, data / "station", base_url)
        worker = threading.Thread(
            target=_man_desk, args=(identity, desk, reader, halt), daemon=True
        )
        worker.start()
        stack.callback(worker.join, 5)
        stack.callback(halt.set)
        yield Running(
            services=services,
            panel_url=base_url,
            sign_in_url=entry.sign_in_url,
            scim_base_url=f"{base_url}/scim/v2",
            scim_token=entry.scim_token,
            mailbox_url=f"{site_url}/mailbox",
            desk_url=f"{site_url}/desk",
            desk=desk,
            mailbox=mailbox,
        )


def _keep(children: list[supervisor.Child], halt: threading.Event, stop: threading.Event) -> None:
    supervisor.run(children, halt)
    stop.set()


def _man_desk(identity: Identity, desk: Desk, reader: CardReader, halt: threading.Event) -> None:
    try:
        DeskStation(identity, desk, reader).run(halt)
    except StationRevoked:
        click.echo("The demo's station was revoked in the panel; start again to pair a new one.")


def _paired(services: Services, state: Path, base_url: str) -> Identity:
    try:
        identity = Identity.load(state)
        known = Station.get_or_none(
            Station.resource_id == identity.station_id, Station.revoked_at.is_null()
        )
        if known is not None and identity.server == base_url:
            return identity
        if known is not None:  # the same desk at another port: it pins its server, so pair again
            with transaction():
                stations.revoke(known, folder.DEMO)
        (state / IDENTITY).unlink()
    except IdentityError:
        pass
    with transaction():
        _row, code = stations.make_code(services.vault, folder.DEMO)
    return pair(base_url, code, STATION).save(state)


def _wait_until_up(base_url: str, stop: threading.Event, log: Path) -> None:
    until = time.monotonic() + _ANSWERS_WITHIN
    while time.monotonic() < until and not stop.is_set():
        try:
            with urllib.request.urlopen(f"{base_url}/healthz", timeout=2):  # noqa: S310 - ours
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            stop.wait(0.05)
    raise ConfigurationError(f"The web server did not come up; {log} says why.")


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} is in use. Choose another: make run PORT=8090"
            ) from error


def free_port(wanted: int = 0) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_whole(path: Path, content: str) -> None:
    """Whoever waits for the file finds it whole; it holds a token, so only its owner reads it."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(content, encoding="utf-8")
    draft.replace(path)


def _say(product: Running) -> None:
    click.echo(f"""
Keywright is running (demo: software cards, mail stays on this machine).

  1. Open the panel:   {product.sign_in_url}
     (this link signs you in as the owner, once; each start prints a new one)
  2. Mailbox and desk: {product.mailbox_url}
                       {product.desk_url}
  3. SCIM base URL:    {product.scim_base_url}
     token:            {product.scim_token}

Push a first person, as a directory would:

  curl -i {product.scim_base_url}/Users \\
    -H 'Authorization: Bearer {product.scim_token}' \\
    -H 'Content-Type: application/scim+json' \\
    -d '{{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada@example.org",\
"name":{{"givenName":"Ada","familyName":"Lovelace"}},\
"emails":[{{"value":"ada@example.org","type":"work","primary":true}}],"active":true}}'

Log: {product.services.settings.data / "keywright.log"}
Ctrl-C stops everything and leaves only the data folder.
""")
