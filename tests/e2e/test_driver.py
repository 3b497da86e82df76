# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The reader driver as its user gets it: from a running server, by its script, into an empty home.

pip fetches what the driver needs from where pip is told to, so this takes the network.
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.e2e.browser import Person
from tests.e2e.desk import Desk, listening_sockets
from tests.e2e.directory import connected
from tests.e2e.installed import CHECKOUT, Installed
from tests.e2e.mailbox import pin_in
from tests.e2e.models import new_card
from tests.e2e.product import Product
from tests.fakes.pcscd import VirtualReaders
from tests.fakes.smtp import Sink

pytestmark = pytest.mark.e2e

SERVER_PACKAGES = ("flask", "peewee", "granian", "webauthn", "provisioning", "scim", "enrollment")


@dataclass(frozen=True)
class Downloaded(Installed):
    """What the script put below a home folder; `folder` is its `.local`."""

    @property
    def environment(self) -> dict[str, str]:
        kept = ("PIP_", "SSL_", "REQUESTS_", "HTTP", "http", "LANG", "TMPDIR")
        ours = {name: value for name, value in os.environ.items() if name.startswith(kept)}
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {**ours, "HOME": str(self.folder.parent), "PATH": path}

    def runs(self, *command: str | Path, readers: VirtualReaders | None = None) -> str:
        environment = {**self.environment, **(readers.environment if readers else {})}
        done = subprocess.run(
            list(map(str, command)),
            cwd=self.folder.parent,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.mark.req("R22")
@pytest.mark.req("R24")
def test_downloaded_installed_paired_by_code_and_by_link_it_enrols_a_card(
    product: Product,
    virtual_readers: VirtualReaders,
    folder: Path,
    mail: Sink,
    person: Callable[[], Person],
) -> None:
    home = folder / "home"
    home.mkdir()
    driver = Downloaded(home / ".local")
    script = home / "install.sh"
    with urllib.request.urlopen(f"{product.url}/reader-driver/install.sh") as answer:
        script.write_bytes(answer.read())

    # One line installs it and pairs it by its code.
    code = product.pairing_code()
    said = driver.runs("sh", script, "--code", code, "--name", "Front desk")
    assert "Paired with Example Hospital" in said
    assert "as Front desk" in said
    assert (home / ".config/systemd/user/keywright-reader.service").exists()
    entry = (home / ".local/share/applications/keywright-reader.desktop").read_text()
    assert "MimeType=x-scheme-handler/keywright;" in entry
    assert f'Exec="{driver.program("keywright-reader")}" open %u' in entry
    unit = (home / ".config/systemd/user/keywright-reader.service").read_text()
    assert f"ConditionPathExists={home}/.local/state/keywright-reader/identity.json" in unit

    # Nothing of the server and nothing of the checkout is in it.
    python = home / ".local/share/keywright-reader/current/bin/python"
    look = "import importlib.util as u, reader; print(reader.__file__, *filter(u.find_spec, {!r}))"
    found = driver.runs(python, "-c", look.format(SERVER_PACKAGES)).split()
    assert len(found) == 1, f"the server's packages came along: {found[1:]}"
    assert Path(found[0]).is_relative_to(home)
    assert str(CHECKOUT) not in driver.runs(python, "-c", "import sys; print(sys.path)")

    # Run again it has nothing to do, and it is well but for the empty reader.
    assert "Fetching" not in driver.runs("sh", script)
    told = json.loads(
        driver.runs(driver.program("keywright-reader"), "doctor", "--json", readers=virtual_readers)
    )
    found = {one["name"]: one["ok"] for one in told["findings"]}
    assert [found[name] for name in ("library", "service", "pairing", "server", "clock")] == [
        True
    ] * 5

    # A page's link opens it; it pairs after a yes at the desk, and not before.
    given = {"server": product.url, "code": product.pairing_code()}
    link = f"keywright://pair?{urlencode(given)}"
    desk = Desk(driver, virtual_readers, folder / "desk", link=link, name="Desk NFC")
    with desk, connected(product, "Example directory") as directory:
        question = next(one for one in desk.shown if one.get("prompt") == "confirm")
        assert product.url.removeprefix("http://") in question["text"]
        assert listening_sockets(desk.pid) == []

        # And an admin assigns a card there.
        directory.pushes_user("Ada", "Lovelace")
        grace = person()
        grace.holds_key()
        grace.opens(product.owner_link())
        grace.fills("Your name", "Grace Hopper")
        grace.presses("Register my security key")
        grace.follows("Stations")
        grace.sees("Front desk")
        grace.sees("Desk NFC")
        grace.follows("Users")
        grace.follows("Ada Lovelace")
        grace.follows("Assign security key")
        grace.chooses("Security Key Device", "Contactless Card")
        grace.picks("Activate now as an admin")
        grace.chooses("Reader", "Desk NFC")
        grace.presses("Assign Contactless Card")
        grace.sees("Tap the card on Desk NFC")
        card = new_card()
        with desk.tap(card):
            grace.sees("The card is assigned")
            desk.sees("done")
        grace.presses("Next")
        grace.presses("Confirm")
        grace.sees("The key is assigned to Ada Lovelace")
        pin = pin_in(mail.wait_for(1)[0])
        assert pin not in (folder / "desk.log").read_text()

    # One line takes it away again, its pairing too.
    driver.runs("sh", script, "--uninstall")
    left = [path for path in home.rglob("*") if "keywright" in path.name]
    assert left == []


def test_a_damaged_download_installs_nothing(product: Product, folder: Path) -> None:
    home = folder / "home"
    home.mkdir()
    driver = Downloaded(home / ".local")
    with urllib.request.urlopen(f"{product.url}/reader-driver/install.sh") as answer:
        lines = answer.read().decode().splitlines()
    damaged = [f"SHA256={'0' * 64}" if one.startswith("SHA256=") else one for one in lines]
    (home / "install.sh").write_text("\n".join(damaged))
    done = subprocess.run(
        ["sh", home / "install.sh"],
        env=driver.environment,
        cwd=home,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "its checksum is not" in done.stderr
    assert [path.name for path in home.iterdir()] == ["install.sh"]


def test_what_the_computer_lacks_is_named_before_anything_is_changed(
    product: Product, folder: Path
) -> None:
    home, tools = folder / "home", folder / "bin"
    home.mkdir()
    tools.mkdir()
    for name in ("sh", "uname", "python3", "dpkg"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    with urllib.request.urlopen(f"{product.url}/reader-driver/install.sh") as answer:
        (home / "install.sh").write_bytes(answer.read())
    done = subprocess.run(
        [tools / "sh", home / "install.sh", "--headless"],
        env={"HOME": str(home), "PATH": str(tools)},
        cwd=home,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "apt-get install -y" in done.stderr
    assert " gcc" in done.stderr
    assert " curl" in done.stderr
    assert [path.name for path in home.iterdir()] == ["install.sh"]
