#!/bin/sh
# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
#
# The Keywright reader driver of one server, for the person who runs this, below their home folder.
# It needs no root: what has to be installed as root is named and left to you.
# Run again it updates; --uninstall takes everything away again.
set -eu

SERVER={{ server }}
VERSION={{ version }}
WHEEL={{ wheel }}
SHA256={{ sha256 }}

base="${XDG_DATA_HOME:-$HOME/.local/share}/keywright-reader"
state="${XDG_STATE_HOME:-$HOME/.local/state}/keywright-reader"
program="$HOME/.local/bin/keywright-reader"
unit="${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user/keywright-reader.service"
entry="${XDG_DATA_HOME:-$HOME/.local/share}/applications/keywright-reader.desktop"
python="${PYTHON:-python3}"
headless=
code=
name=

say() { printf '%s\n' "$*"; }
fail() { printf 'install: %s\n' "$*" >&2; exit 1; }

usage() {
    say "sh install.sh [--code 12345678] [--name DESK] [--headless]    install or update"
    say "sh install.sh --uninstall                                     take it away again"
    say "--code pairs this computer with $SERVER; --headless is for a kiosk without a screen."
}

# What this computer lacks, before anything is changed.
check() {
    [ "$(uname -s)" = Linux ] || fail "this script is for Linux; $SERVER/reader-driver has others"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "Python 3.11 or newer is needed, as python3 or as PYTHON=/path/to/it"
    lack=
    "$python" -c 'import ensurepip, venv' 2>/dev/null || lack="$lack python3-venv"
    # The Python library for card readers comes as source for Linux: it is compiled here.
    command -v cc >/dev/null || lack="$lack gcc"
    "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
        lack="$lack python3-dev"
    [ -e /usr/include/PCSC/winscard.h ] || lack="$lack libpcsclite-dev"
    command -v pcscd >/dev/null || [ -x /usr/sbin/pcscd ] || lack="$lack pcscd"
    if command -v dpkg >/dev/null && [ ! -e /usr/lib/pcsc/drivers/ifd-ccid.bundle ]; then
        lack="$lack libccid"
    fi
    command -v curl >/dev/null || command -v wget >/dev/null || lack="$lack curl"
    [ -z "$lack" ] || fail "this computer lacks:$lack
install: on Debian and Ubuntu, once, as root: apt-get install -y$lack
install: elsewhere the packages have similar names (pcsc-lite-devel, python3-devel). Then run this again."
    if [ -z "$headless" ] && ! "$python" -c 'import tkinter' 2>/dev/null; then
        say "Without python3-tk the driver speaks in a terminal instead of a window of its own."
    fi
}

fetch() {
    if command -v curl >/dev/null; then
        curl -fsS -o "$2" "$1"
    else
        wget -q -O "$2" "$1"
    fi || fail "$1 cannot be fetched"
}

install_program() {
    new="$base/$VERSION-$(printf %.8s "$SHA256")"
    if [ ! -e "$new/whole" ]; then
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        say "Fetching $WHEEL from $SERVER"
        fetch "$SERVER/reader-driver/$WHEEL" "$work/$WHEEL"
        say "$SHA256  $work/$WHEEL" | sha256sum --check --status ||
            fail "the download is damaged: its checksum is not $SHA256"
        say "Installing into $base (the card reader library is compiled, half a minute)"
        rm -rf "$new"
        mkdir -p "$base"
        "$python" -m venv "$new"
        "$new/bin/python" -m pip install --quiet --disable-pip-version-check "$work/$WHEEL" ||
            fail "pip could not install it; nothing else was changed"
        "$new/bin/keywright-reader" --version >/dev/null
        : >"$new/whole"
    fi
    ln -sfn "$new" "$base/current"
    mkdir -p "$(dirname "$program")"
    ln -sf "$base/current/bin/keywright-reader" "$program"
    for old in "$base"/*; do
        case "$old" in "$new" | "$base/current") ;; *) rm -rf "$old" ;; esac
    done
    say "Installed keywright-reader $("$program" --version)"
}

# systemd: % is special everywhere, $ in a command, quotes and backslashes in a quoted word.
for_path() { printf %s "$1" | sed 's/%/%%/g'; }
for_unit() { printf %s "$1" | sed 's/[\\"]/\\&/g; s/%/%%/g; s/\$/$$/g'; }
# Desktop entries: a quoted argument, in a string where backslashes are doubled once more.
for_entry() { printf %s "$1" | sed 's/[\\"`$]/\\&/g; s/\\/\\\\/g; s/%/%%/g'; }

install_unit() {
    if [ -n "$headless" ]; then
        command="run --headless" wanted=default.target after=default.target
    else
        command=open wanted=graphical-session.target after=graphical-session.target
    fi
    mkdir -p "$(dirname "$unit")"
    cat >"$unit" <<END
[Unit]
Description=Keywright reader driver
Documentation=$SERVER/reader-driver
ConditionPathExists=$(for_path "$state")/identity.json
After=$after

[Service]
ExecStart="$(for_unit "$program")" $command
Restart=on-failure
RestartSec=5
# Wrong usage, not paired any more, a library missing: starting again would not help.
RestartPreventExitStatus=2 3 5

[Install]
WantedBy=$wanted
END
    if systemctl --user daemon-reload 2>/dev/null; then
        systemctl --user enable --quiet keywright-reader.service
        systemctl --user try-restart keywright-reader.service
    else
        say "No systemd of yours runs here now: the driver starts by itself after the next login."
    fi
    [ -z "$headless" ] || say "So that it starts without a login, once, as root: loginctl enable-linger $(id -un)"
}

install_entry() {
    terminal=false
    "$python" -c 'import tkinter' 2>/dev/null || terminal=true
    mkdir -p "$(dirname "$entry")"
    cat >"$entry" <<END
[Desktop Entry]
Type=Application
Name=Keywright Reader
Comment=Sets up security keys on this computer's card reader
Exec="$(for_entry "$program")" open %u
Terminal=$terminal
Categories=Utility;
MimeType=x-scheme-handler/keywright;
END
    # The page's link keywright://pair?… opens this entry; the person at the desk then agrees.
    command -v update-desktop-database >/dev/null && update-desktop-database -q "$(dirname "$entry")" || :
    command -v xdg-mime >/dev/null && xdg-mime default keywright-reader.desktop x-scheme-handler/keywright || :
}

uninstall() {
    systemctl --user disable --quiet --now keywright-reader.service 2>/dev/null || :
    rm -f "$unit" "$entry" "$program"
    rm -rf "$base" "$state"
    systemctl --user daemon-reload 2>/dev/null || :
    say "The driver and its pairing are gone. Revoke this station in the panel, under Stations."
}

while [ $# -gt 0 ]; do
    case "$1" in
        --headless) headless=yes ;;
        --code) [ $# -gt 1 ] || fail "--code needs the eight digits"; code=$2; shift ;;
        --name) [ $# -gt 1 ] || fail "--name needs the desk's name"; name=$2; shift ;;
        --uninstall) uninstall; exit 0 ;;
        --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
done

check
install_program
[ -n "$headless" ] || install_entry
[ -z "$code" ] || "$program" pair --server "$SERVER" --code "$code" ${name:+--name "$name"}
install_unit
if [ ! -e "$state/identity.json" ]; then
    say "Next, with a code from the panel: $program pair --server $SERVER --code 12345678"
elif systemctl --user start keywright-reader.service 2>/dev/null; then
    say "It runs, and calls $SERVER only."
else
    say "Next: $program $command"
fi
