#!/bin/sh
# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
#
# The Keywright reader driver of one server, for the person who runs this, below their home folder.
# Written from the system's documentation: NOT TRIED on macOS.
# Run again it updates; --uninstall takes everything away again.
set -eu

SERVER={{ server }}
VERSION={{ version }}
WHEEL={{ wheel }}
SHA256={{ sha256 }}

base="$HOME/Library/Application Support/keywright-reader-program"
state="$HOME/Library/Application Support/keywright-reader"
program="$HOME/.local/bin/keywright-reader"
python="${PYTHON:-python3}"
code=
name=

say() { printf '%s\n' "$*"; }
fail() { printf 'install: %s\n' "$*" >&2; exit 1; }

usage() {
    say "sh install.sh [--code 12345678] [--name DESK]    install or update"
    say "sh install.sh --uninstall                        take it away again"
}

while [ $# -gt 0 ]; do
    case "$1" in
        --code) [ $# -gt 1 ] || fail "--code needs the eight digits"; code=$2; shift ;;
        --name) [ $# -gt 1 ] || fail "--name needs the desk's name"; name=$2; shift ;;
        --uninstall)
            rm -rf "$base" "$state"
            rm -f "$program"
            say "The driver and its pairing are gone. Revoke this station in the panel, under Stations."
            exit 0 ;;
        --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
done

[ "$(uname -s)" = Darwin ] || fail "this script is for macOS; $SERVER/reader-driver has others"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "Python 3.11 or newer is needed: from python.org, or as PYTHON=/path/to/it"

new="$base/$VERSION-$(printf %.8s "$SHA256")"
if [ ! -e "$new/whole" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    curl -fsS -o "$work/$WHEEL" "$SERVER/reader-driver/$WHEEL" || fail "$SERVER cannot be reached"
    say "$SHA256  $work/$WHEEL" | shasum -a 256 --check --status ||
        fail "the download is damaged: its checksum is not $SHA256"
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
# Links open only applications here, so the code is pasted instead.
[ -z "$code" ] || "$program" pair --server "$SERVER" --code "$code" ${name:+--name "$name"}
if [ -e "$state/identity.json" ]; then
    say "Next: $program run"
else
    say "Next, with a code from the panel: $program pair --server $SERVER --code 12345678"
fi
