# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The computer below the readers: pyscard, the smart card service, permissions, drivers."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from reader.card_reader import CardReader, ReaderState
from reader.doctor.finding import Finding
from reader.faults import Fault

INSTALL_PYSCARD = (
    "install the card reader library: pip install 'keywright[reader]' "
    "(Linux first: apt-get install pcscd libpcsclite-dev gcc)"
)

_START_SERVICE = {
    "linux": "install and start it: apt-get install pcscd && systemctl enable --now pcscd.socket",
    "darwin": "it starts with the first reader: plug one in, or restart this computer",
    "win32": "start the service 'Smart Card' (SCardSvr)",
}
_SOCKET = "/run/pcscd/pcscd.comm"
_CCID = ("usr/lib/pcsc", "usr/lib64/pcsc", "usr/local/lib/pcsc", "usr/lib/*/pcsc")
_SMART_CARD_CLASS = "0b"  # USB interface class of CCID readers


def examine(reader: CardReader | None, root: Path = Path("/")) -> Iterator[Finding]:
    """`root` is where /sys and /usr are looked for."""
    if reader is None:
        yield Finding("library", False, "pyscard is not installed.", INSTALL_PYSCARD)
        return
    yield Finding("library", True, "pyscard is installed.")
    state = reader.state()
    if state is ReaderState.NO_SERVICE:
        yield _no_service()
        return
    yield Finding("service", True, "The smart card service answers.")
    yield Finding("permission", True, "This user may use it.")
    if sys.platform.startswith("linux"):
        yield from _drivers(root, found=state is not ReaderState.NO_READER)
    if state is ReaderState.NO_READER:
        yield Finding(
            "reader",
            False,
            Fault.NO_READER.sentence,
            "plug it in; a reader that has a name here may be chosen by --reader",
        )


def _no_service() -> Finding:
    if sys.platform.startswith("linux"):
        path = os.environ.get("PCSCLITE_CSOCK_NAME", _SOCKET)
        if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK):
            return Finding(
                "permission",
                False,
                f"The smart card service runs, and this user may not talk to it ({path}).",
                "let systemd open it to all users: systemctl enable --now pcscd.socket, "
                f"or as root: chmod 666 {path}",
            )
        if _answers(path):
            return Finding(
                "permission",
                False,
                "The smart card service answers, and refuses this user.",
                "allow org.debian.pcsc-lite.access_pcsc and .access_card in polkit, "
                "or sit at the computer itself instead of coming over the network",
            )
    start = _START_SERVICE[sys.platform if sys.platform in _START_SERVICE else "linux"]
    return Finding("service", False, Fault.NO_SERVICE.sentence, start)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(path)
        except OSError:
            return False
        return True


def _drivers(root: Path, *, found: bool) -> Iterator[Finding]:
    taken = [name for name in ("pn533_usb", "pn533") if (root / "sys/module" / name).is_dir()]
    if taken:
        yield Finding(
            "driver",
            False,
            f"The kernel's own NFC driver ({taken[0]}) takes PN533 readers for itself.",
            "modprobe -r pn533_usb pn533 nfc, and for good: "
            "echo 'blacklist pn533_usb' > /etc/modprobe.d/no-pn533.conf",
        )
    if not any(True for where in _CCID for _ in root.glob(f"{where}/drivers/ifd-ccid.bundle")):
        yield Finding(
            "driver",
            None if found else False,
            "The driver of USB readers (CCID) is not installed.",
            "apt-get install libccid, and plug the reader in again",
        )
    elif _on_usb(root) and not found:
        yield Finding(
            "driver",
            False,
            "A card reader is on USB, and the smart card service does not list it.",
            "restart the service: systemctl restart pcscd; a reader that is not CCID needs its "
            "maker's own driver",
        )
    elif not taken:
        yield Finding("driver", True, "The driver of USB readers (CCID) is installed.")


def _on_usb(root: Path) -> bool:
    for path in root.glob("sys/bus/usb/devices/*/bInterfaceClass"):
        try:
            if path.read_text(encoding="ascii").strip() == _SMART_CARD_CLASS:
                return True
        except (OSError, UnicodeDecodeError):
            continue
    return False
