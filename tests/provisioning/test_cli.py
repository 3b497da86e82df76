# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from provisioning.cli import main
from provisioning.errors import Unauthenticated
from provisioning.lifecycle import KeyState
from provisioning.models import AuditEvent, User
from provisioning.storage.db import database
from provisioning.upstream import tokens
from tests.fakes import people, shell
from tests.fakes.shell import run


@pytest.fixture
def folder(data: Path) -> Path:
    shell.made(data / "kw", "https://keys.example.org")
    yield data / "kw"
    database.close()


def test_init_makes_a_folder_that_only_its_owner_reads(folder: Path) -> None:
    assert folder.stat().st_mode & 0o077 == 0
    for path in (*(folder / "keys").iterdir(), folder / "keywright.env"):
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.sqlite
@pytest.mark.req("R3")
def test_what_the_installed_program_makes_in_an_open_folder_others_cannot_read(data: Path) -> None:
    there = data / "kw"
    there.mkdir()
    there.chmod(0o755)
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import atexit, os, pathlib, sys\n"
            "from importlib.metadata import entry_points\n"
            "def tell(folder):\n"  # while the database is open
            "    for path in pathlib.Path(folder).rglob('*'):\n"
            "        print(path.name, oct(path.stat().st_mode & 0o077))\n"
            "os.umask(0o022)\n"
            "atexit.register(tell, sys.argv[3])\n"
            "(entry,) = entry_points(group='console_scripts', name='keywright')\n"
            "entry.load()()\n",
            *("init", "--data", str(there), "--base-url", "https://keys.example.org"),
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    ).stdout
    modes = dict(line.split() for line in told.splitlines() if "0o" in line)
    assert {"keywright.env", "kek", "keywright.sqlite3", "keywright.sqlite3-wal"} <= set(modes)
    assert set(modes.values()) == {"0o0"}
    assert there.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_init_refuses_a_folder_in_which_others_write(data: Path, mode: int) -> None:
    there = data / "kw"
    there.mkdir()
    there.chmod(mode)
    result = run("init", "--data", there, "--base-url", "https://keys.example.org")
    assert (result.exit_code, list(there.iterdir())) == (1, [])
    assert f"mode is {mode:04o}, others can write; make it 0700." in result.output


def test_init_refuses_a_folder_that_is_set_up_and_changes_nothing(folder: Path) -> None:
    before = (folder / "keys" / "kek").read_bytes()
    again = run("init", "--data", folder, "--base-url", "https://other.example.org")
    assert again.exit_code == 1
    assert "set up already" in again.output
    assert (folder / "keys" / "kek").read_bytes() == before
    assert "https://keys.example.org" in (folder / "keywright.env").read_text()


@pytest.mark.req("R3")
def test_init_refuses_http_for_a_real_host_and_makes_nothing(data: Path) -> None:
    result = run("init", "--data", data / "x", "--base-url", "http://keys.example.org")
    assert result.exit_code == 1
    assert "KEYWRIGHT_BASE_URL: must be https" in result.output
    assert not (data / "x").exists()


@pytest.mark.req("R3")
def test_a_key_file_that_others_can_read_stops_every_command(folder: Path) -> None:
    (folder / "keys" / "kek").chmod(0o644)
    result = run("token", "list", "--data", folder)
    assert result.exit_code == 1
    assert "kek" in result.output
    assert "Traceback" not in result.output


def test_tokens_are_made_listed_without_their_secret_and_revoked(folder: Path) -> None:
    made = run("token", "create", "--data", folder, "--connection", "Entra ID")
    text = made.output.strip()
    assert tokens.verify(f"Bearer {text}").connection.name == "Entra ID"
    listed = run("token", "list", "--data", folder).output
    _prefix, public_id, secret = text.split("_")
    assert public_id in listed
    assert secret not in listed
    assert run("token", "revoke", "--data", folder, public_id).exit_code == 0
    with pytest.raises(Unauthenticated):
        tokens.verify(f"Bearer {text}")
    assert "revoked" in run("token", "list", "--data", folder).output


def test_revoking_a_token_that_is_not_there_says_so(folder: Path) -> None:
    result = run("token", "revoke", "--data", folder, "feed")
    assert result.exit_code == 1
    assert result.output.strip() == "Error: There is no token feed."


def test_the_owner_link_points_to_the_base_url_with_a_fragment(folder: Path) -> None:
    result = run("owner-link", "--data", folder)
    assert result.output.startswith("https://keys.example.org/owner#")
    assert AuditEvent.get(AuditEvent.event == "owner_link.made").actor_kind == "cli"


@pytest.mark.req("R16")
def test_deactivating_at_the_shell_runs_the_cascade(folder: Path) -> None:
    key = people.active_key(people.person("ada"))
    result = run("user", "deactivate", "--data", folder, "ADA")
    assert result.exit_code == 0
    assert people.again(key).state == KeyState.SUSPENDED
    assert run("user", "deactivate", "--data", folder, "nobody").exit_code == 1


@pytest.mark.req("R26")
def test_audit_verify_tells_a_whole_log_from_a_broken_one(folder: Path) -> None:
    run("token", "create", "--data", folder, "--connection", "Okta")
    assert "chain whole" in run("audit", "verify", "--data", folder).output
    AuditEvent.update(actor_name="nobody").where(AuditEvent.id == 1).execute()
    broken = run("audit", "verify", "--data", folder)
    assert broken.exit_code == 1
    assert "broken" in broken.output


def test_migrate_says_when_there_is_nothing_to_do(folder: Path) -> None:
    assert run("migrate", "--data", folder).output == "Nothing to apply.\n"


def test_a_folder_that_is_not_there_is_a_line_and_not_a_trace(data: Path) -> None:
    result = run("token", "list", "--data", data / "nowhere")
    assert result.exit_code == 1
    assert "Traceback" not in result.output


@pytest.mark.req("R3")
def test_a_demo_does_not_run_on_a_real_installation(folder: Path) -> None:
    result = run("demo", "--data", folder, "--port", "18999")
    assert result.exit_code == 1
    assert "not a demo's folder" in result.output


def test_import_shows_what_each_line_would_change_and_then_does_it(
    folder: Path, tmp_path: Path
) -> None:
    file, result = tmp_path / "people.csv", tmp_path / "result.csv"
    file.write_text("Kürzel;E-Mail\nada;ada@example.org\n;nobody@example.org\n", encoding="cp1252")
    words = ("import", file, "--data", folder, "--column", "userName=Kürzel", "--result", result)
    shown = run(*words, "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert "people.csv: 2 lines, Windows-1252, separated by semicolon." in shown.output
    assert "line 3: User name is empty." in shown.output
    assert "Nothing was changed." in shown.output
    assert "2,ada,create,User name: ada; Email: ada@example.org" in result.read_text()
    assert not User.select().exists()
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert "Applied: 1 of 1." in done.output
    assert result.read_text().splitlines()[1] == "2: ada,done,created"
    assert User.get().connection.name == "CSV import"


@pytest.mark.parametrize(
    ("column", "sentence"),
    [("colour=Login", "the attributes are userName"), ("userName=Name", "no heading 'Name'")],
)
def test_import_refuses_a_column_that_is_not_there_in_a_line(
    folder: Path, tmp_path: Path, column: str, sentence: str
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("Login\nada\n")
    refused = run("import", file, "--data", folder, "--column", column)
    assert refused.exit_code == 1
    assert sentence in refused.output


@pytest.mark.parametrize(
    "words",
    [
        ("user", "deactivate", "\udcff"),
        ("token", "create", "--connection", "\udcff"),
        ("departures", "approve", "99999999999999999999"),
        ("connection", "hand-over", "Okta", "99999999999999999999"),
        ("stream", "add", "--connection", "Okta", "--push", "https://x.org", "--authorization-file",
         "BINARY"),
    ],
)  # fmt: skip
def test_what_is_no_text_or_no_number_is_refused_in_a_line(
    folder: Path, words: tuple[str, ...]
) -> None:
    run("token", "create", "--data", folder, "--connection", "Okta")
    binary = folder / "binary"
    binary.write_bytes(b"\xff\xfe")
    given = [str(binary) if word == "BINARY" else word for word in words]
    result = run(*given, "--data", folder)
    assert result.exit_code in (1, 2)
    assert "Error: " in result.output
    assert "Traceback" not in result.output


def test_a_place_that_cannot_be_written_is_named(data: Path) -> None:
    (data / "file").write_text("")
    result = run("init", "--data", data / "file" / "kw", "--base-url", "https://keys.example.org")
    assert result.exit_code == 1
    assert "Error: " in result.output
    assert "file/kw: Not a directory" in result.output


@pytest.mark.sqlite
def test_a_broken_database_is_told_in_a_line(folder: Path) -> None:
    database.close()
    for left in folder.glob("keywright.sqlite3*"):
        left.unlink()
    (folder / "keywright.sqlite3").write_bytes(b"no database" * 500)
    result = run("token", "list", "--data", folder)
    assert result.exit_code == 1
    assert "The database refuses: file is not a database" in result.output


def test_a_file_comes_through_a_pipe_as_well(folder: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_where: int) -> int:
            raise io.UnsupportedOperation("seek")

    runner = CliRunner()
    words = ["import", "--data", str(folder), "-"]
    result = runner.invoke(main, words, input=Pipe(b"userName\nada\n"))
    assert result.exit_code == 0, result.output
    assert User.get(User.user_name == "ada").active


def test_a_result_that_cannot_be_written_stops_an_import_before_it_changes_anything(
    folder: Path,
) -> None:
    people_csv = folder / "people.csv"
    people_csv.write_text("userName\nada\n")
    nowhere = folder / "nowhere" / "result.csv"
    result = run("import", "--data", folder, people_csv, "--result", nowhere)
    assert result.exit_code == 1
    assert User.select().count() == 0


def test_a_server_starts_without_importing_what_its_processes_import_again() -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, provisioning.cli as cli; cli.main.get_command(None, 'serve');"
            "print(*{'enrollment', 'scim', 'webauthn'} & set(sys.modules))",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    ).stdout
    assert told.split() == []
