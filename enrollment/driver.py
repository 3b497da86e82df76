# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The reader driver's download and how to install it, for admins and for users at home."""

from __future__ import annotations

from base64 import b64encode

from flask import Blueprint, Response, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from provisioning import reader_wheel
from provisioning.services import services

from .web import safe_next

blueprint = Blueprint("driver", __name__, url_prefix="/reader-driver")

Step = dict[str, str | None]


@blueprint.get("")
def page() -> ResponseReturnValue:
    """Show how to install the driver. A code to pair it with comes from an admin."""
    return render_template(
        "activation/driver.html",
        systems=systems(),
        code=None,
        new_code_url=None,
        pairing={"state": "waiting", "poll_url": None, "next": None},
        back_url=safe_next(url_for("activation.page")),
    )


@blueprint.get("/<name>")
def download(name: str) -> ResponseReturnValue:
    """Serve the wheel; its checksum goes along as a header."""
    if name != reader_wheel.file_name():
        abort(404)
    answer = Response(reader_wheel.wheel(), mimetype="application/zip")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Repr-Digest"] = (
        f"sha-256=:{b64encode(bytes.fromhex(reader_wheel.checksum())).decode()}:"
    )
    return answer


def systems(code: str | None = None) -> list[dict[str, object]]:
    """Return the steps for each system, the visitor's own first; see `_driver.html`."""
    base = services().settings.base_url
    url = f"{base}{url_for('driver.download', name=reader_wheel.file_name())}"
    pair = f"keywright-reader pair --server {base} --code {code or '12345678'}"
    file = {
        "label": _("Download %(name)s", name=reader_wheel.file_name()),
        "url": url_for("driver.download", name=reader_wheel.file_name()),
    }
    folder = "~/keywright-reader"
    untried = _("These steps follow the system's documentation; they were not tried there.")
    known: dict[str, dict[str, object]] = {
        "Linux": {
            "name": _("Linux (Debian, Ubuntu)"),
            "file": file,
            "steps": [
                _step(
                    _("Once, as root: the smart card service and what builds its Python part."),
                    "sudo apt-get install -y pcscd libccid libpcsclite-dev gcc python3-dev "
                    "python3-venv swig",
                ),
                _step(
                    _("Install the driver into a folder of its own."),
                    f"python3 -m venv {folder} && {folder}/bin/pip install {url}",
                ),
                _step(_("Pair it, then leave it running."), f"~/keywright-reader/bin/{pair}"),
                _step(
                    _("Start it; it opens no port and calls only this server."),
                    "~/keywright-reader/bin/keywright-reader run",
                ),
            ],
        },
        "Windows": {
            "name": "Windows",
            "file": file,
            "steps": [
                _step(untried, None),
                _step(
                    _(
                        "With Python 3.11 or newer, in a terminal opened as administrator: Windows "
                        "lets only such programs reach a card's FIDO2 application."
                    ),
                    f"py -m venv %USERPROFILE%\\keywright-reader && "
                    f"%USERPROFILE%\\keywright-reader\\Scripts\\pip install {url}",
                ),
                _step(
                    _("Pair it, then leave it running."),
                    f"%USERPROFILE%\\keywright-reader\\Scripts\\{pair}",
                ),
                _step(
                    _("Start it; it opens no port and calls only this server."),
                    "%USERPROFILE%\\keywright-reader\\Scripts\\keywright-reader run",
                ),
            ],
        },
        "macOS": {
            "name": "macOS",
            "file": file,
            "steps": [
                _step(untried, None),
                _step(
                    _("With Python 3.11 or newer; the smart card service is part of the system."),
                    f"python3 -m venv {folder} && {folder}/bin/pip install {url}",
                ),
                _step(_("Pair it, then leave it running."), f"~/keywright-reader/bin/{pair}"),
                _step(
                    _("Start it; it opens no port and calls only this server."),
                    "~/keywright-reader/bin/keywright-reader run",
                ),
            ],
        },
    }
    agent = request.user_agent.string
    mine = "Windows" if "Windows" in agent else "macOS" if "Mac OS" in agent else "Linux"
    return [known.pop(mine), *known.values()]


def _step(text: str, command: str | None) -> Step:
    return {"text": text, "command": command}
