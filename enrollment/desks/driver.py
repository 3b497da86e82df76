# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The reader driver's download and how to install it, for admins and for users at home."""

from __future__ import annotations

import shlex
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from urllib.parse import urlencode

from flask import Blueprint, Response, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning.desks import reader_wheel
from provisioning.services import services

from ..web import safe_next

blueprint = Blueprint("driver", __name__, url_prefix="/reader-driver")

Step = dict[str, str | None]


def _powershell(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


SCRIPTS: dict[str, tuple[str, Callable[[str], str]]] = {
    "install.sh": ("driver/linux.sh", shlex.quote),
    "install-macos.sh": ("driver/macos.sh", shlex.quote),
    "install.ps1": ("driver/windows.ps1", _powershell),
}
"""Template of each install script, by its name in the address, and how its words are quoted."""

CHECKSUMS = "SHA256SUMS"


@blueprint.get("")
def page() -> ResponseReturnValue:
    """Show how to install the driver. A code to pair it with comes from an admin."""
    return render_template(
        "activation/driver.html",
        **shown(None),
        code=None,
        new_code_url=None,
        pairing={"state": "waiting", "poll_url": None, "next": None},
        back_url=safe_next(url_for("activation.page")),
    )


@blueprint.get("/<name>")
def download(name: str) -> ResponseReturnValue:
    """Serve the wheel, an install script or the checksums; each with its own as a header."""
    if name == reader_wheel.file_name():
        return _file(name, reader_wheel.wheel(), "application/zip")
    if name in SCRIPTS:
        return _file(name, script(name).encode(), "text/plain")
    if name != CHECKSUMS:
        abort(404)
    return _file(name, checksums().encode(), "text/plain")


def script(name: str) -> str:
    """Return an install script with this server's address and the wheel's checksum filled in."""
    template, quoted = SCRIPTS[name]
    return render_template(
        template,
        server=quoted(services().settings.base_url),
        version=quoted(reader_wheel.version()),
        wheel=quoted(reader_wheel.file_name()),
        sha256=quoted(reader_wheel.checksum()),
    )


def checksums() -> str:
    """Return the SHA-256 of every download, as `sha256sum --check` reads them."""
    sums = {name: sha256(script(name).encode()).hexdigest() for name in SCRIPTS}
    sums[reader_wheel.file_name()] = reader_wheel.checksum()
    return "".join(f"{checksum}  {name}\n" for name, checksum in sums.items())


def _file(name: str, content: bytes, mimetype: str) -> Response:
    answer = Response(content, mimetype=mimetype)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    digest = b64encode(sha256(content).digest()).decode()
    answer.headers["Repr-Digest"] = f"sha-256=:{digest}:"
    return answer


def shown(code: str | None) -> dict[str, object]:
    """Return what `_driver.html` shows of the download: systems, wheel, link."""
    link = None
    if code:
        given = {"server": services().settings.base_url, "code": code}
        link = f"keywright://pair?{urlencode(given)}"
    return {
        "systems": _systems(code),
        "link": link,
        "wheel": {
            "name": reader_wheel.file_name(),
            "url": url_for("driver.download", name=reader_wheel.file_name()),
            "sha256": reader_wheel.checksum(),
        },
        "checksums_url": url_for("driver.download", name=CHECKSUMS),
    }


def _systems(code: str | None) -> list[dict[str, object]]:
    """Return the steps for each system, the visitor's own first; see `_driver.html`."""
    base = services().settings.base_url
    untried = _("Written from the system's documentation; it was not tried there.")
    installed = _("Installed already? Pair it, then leave it running; it opens no port.")
    removal = _("To take it away again, its pairing too:")
    pair = f"pair --server {base} --code {code or '12345678'}"
    with_code = f" --code {code}" if code else ""
    known: dict[str, dict[str, object]] = {
        "Linux": {
            "name": _("Linux (Debian, Ubuntu)"),
            "file": _script_file("install.sh"),
            "steps": [
                _step(
                    _("In a terminal, as yourself. What needs root it names and leaves to you."),
                    f"curl -fsSo install.sh {_url('install.sh')} && sh install.sh{with_code}",
                ),
                _step(
                    installed,
                    f"~/.local/bin/keywright-reader {pair} && ~/.local/bin/keywright-reader run",
                ),
            ],
            "more": [
                _step(
                    _("A kiosk without a screen: a second tap says yes there."),
                    f"sh install.sh --headless{with_code}",
                ),
                _step(removal, "sh install.sh --uninstall"),
            ],
        },
        "Windows": {
            "name": "Windows",
            "file": _script_file("install.ps1"),
            "steps": [
                _step(untried, None),
                _step(
                    _(
                        "With Python 3.11 or newer, in a PowerShell opened as administrator: "
                        "Windows lets only such programs reach a card's FIDO2 application."
                    ),
                    f"iwr {_url('install.ps1')} -OutFile install.ps1; "
                    "powershell -ExecutionPolicy Bypass -File .\\install.ps1"
                    + (f" -Code {code}" if code else ""),
                ),
                _step(installed, f"keywright-reader {pair}; keywright-reader run"),
            ],
            "more": [
                _step(removal, "powershell -ExecutionPolicy Bypass -File .\\install.ps1 -Uninstall")
            ],
        },
        "macOS": {
            "name": "macOS",
            "file": _script_file("install-macos.sh"),
            "steps": [
                _step(untried, None),
                _step(
                    _("With Python 3.11 or newer; the smart card service is part of the system."),
                    f"curl -fsSo install.sh {_url('install-macos.sh')} && sh install.sh{with_code}",
                ),
                _step(
                    installed,
                    f"~/.local/bin/keywright-reader {pair} && ~/.local/bin/keywright-reader run",
                ),
            ],
            "more": [_step(removal, "sh install.sh --uninstall")],
        },
    }
    agent = request.user_agent.string
    mine = "Windows" if "Windows" in agent else "macOS" if "Mac OS" in agent else "Linux"
    return [known.pop(mine), *known.values()]


def _url(name: str) -> str:
    return f"{services().settings.base_url}{url_for('driver.download', name=name)}"


def _script_file(name: str) -> dict[str, str]:
    return {
        "label": _("Download %(name)s", name=name),
        "url": url_for("driver.download", name=name),
    }


def _step(text: str, command: str | None) -> Step:
    return {"text": text, "command": command}
