# SPDX-License-Identifier: Apache-2.0
"""The commands that need no running server, as a user types them."""

import json
import re
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from command_line import ringback, ringback_program

from ringback.cli import COMMANDS
from ringback.server.first_start import open_store
from ringback.server.storage import BindingRecord
from ringback.sip.digest import ha1
from ringback.version import VERSION


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_version_and_help_say_what_this_is() -> None:
    version = ringback_program("--version")
    assert version.returncode == 0
    assert re.fullmatch(
        rf"ringback {re.escape(VERSION)} · Python 3\.\d+\.\S+ · kernel (python|compiled)\n", version.stdout
    )
    help_page = ringback_program("--help")
    assert help_page.returncode == 0
    for name in COMMANDS:
        assert f"  {name} " in help_page.stdout


def test_starting_is_fast_because_nothing_is_imported_that_is_not_needed() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, ringback.cli; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert "ringback.cli" in loaded
    assert not {"asyncio", "pydantic", "cryptography", "ringback.server.config", "ringback.net"} & set(loaded)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["sevre"], "no command 'sevre'; did you mean 'serve'?"),
        (["user", "ad"], "No such command 'ad'"),
        (["user", "add"], "Missing argument 'NUMBER'"),
        (["user", "add", "12x"], "'12x' is no number for a user: use 1 to 15 digits, for example 101"),
        (["user", "add", "101", "a\x1b[31mb"], "the name has characters that cannot be seen"),
        (["user", "add", "101", "--password", ""], "a password is 1 to 128 visible ASCII characters"),
        (["serve", "--sip-port", "70000"], "70000 is not in the range 0<=x<=65535"),
        (["--frob"], "No such option '--frob'"),
        (["registrations", "x"], "Got unexpected extra argument"),
    ],
)
def test_a_wrong_use_is_one_clear_line_and_code_2(
    arguments: list[str], complaint: str, tmp_path: Path
) -> None:
    done = ringback(*arguments, RINGBACK_DATA=str(tmp_path / "data"))
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_user_is_added_shown_once_and_only_digests_are_kept(data: Path) -> None:
    done = ringback("user", "add", "101", "Anna Karenina", data=data, RINGBACK_DOMAIN="phones.example")
    assert done.returncode == 0, done.stderr
    password = re.search(r"Password +(\S+)", done.stdout)[1]
    assert re.search(r"User name +101\n", done.stdout)
    assert re.search(r"Domain +phones\.example\n", done.stdout)
    assert re.search(r"Server +\S+ +port 5060 \(UDP\), 5060 \(TCP\), 5061 \(TLS\)\n", done.stdout)
    assert "sip:101@phones.example" in done.stdout
    assert "█▀▀▀▀▀█" in done.stdout.replace("▄", "▀") or "██ ▄▄▄▄▄" in done.stdout
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    store, _ = open_store(data)
    with closing(store):
        (user,) = store.users()
    assert (user.number, user.name, user.realm) == ("101", "Anna Karenina", "phones.example")
    assert user.ha1s["SHA-256"] == ha1("101", "phones.example", password, "SHA-256")
    for file in data.iterdir():
        assert password.encode() not in file.read_bytes()


def test_the_life_of_a_user(data: Path) -> None:
    assert "There are no users yet" in ringback("user", "list", data=data).stdout
    assert (
        ringback("user", "add", "102", "--password", "s3cret-s3cret-1", "--no-qr", data=data).returncode == 0
    )
    assert (
        ringback(
            "user", "add", "99", "Bob", "--password", "-", data=data, stdin="from-standard-input\n"
        ).returncode
        == 0
    )
    again = ringback("user", "add", "99", "Bob", data=data)
    assert (again.returncode, again.stderr) == (
        1, "ringback: user 99 (Bob) exists already; for a new password: ringback user password 99\n",
    )  # fmt: skip
    assert json.loads(ringback("user", "list", "--json", data=data).stdout) == [
        {"number": "99", "name": "Bob", "made_by": ""},
        {"number": "102", "name": "", "made_by": ""},
    ]
    changed = ringback("user", "password", "99", "--password", "short", data=data)
    assert changed.returncode == 0
    assert "this password is short" in changed.stderr
    assert ringback("user", "remove", "102", data=data).stdout == "User 102 is removed.\n"
    gone = ringback("user", "remove", "102", data=data)
    assert (gone.returncode, gone.stderr) == (1, "ringback: there is no user '102'; the users are 99\n")
    store, _ = open_store(data)
    with closing(store):
        (user,) = store.users()
        assert user.ha1s["MD5"] == ha1("99", user.realm, "short", "MD5")


def test_the_life_of_a_device(data: Path) -> None:
    assert "There are no devices" in ringback("device", "list", data=data).stdout
    assert ringback("user", "add", "101", "Anna", "--no-qr", data=data).returncode == 0
    added = ringback("device", "add", "101", "Desk", "--for", "2w", "--security", "required", data=data)
    password = re.search(r"Password +(\S+)", added.stdout)[1]
    assert re.match(r"Device 'Desk' of user 101 is added \(\w{12}\)\. Enter this into it:\n", added.stdout)
    assert "User name     101\n" in added.stdout
    made = json.loads(ringback("device", "add", "101", "Door", "--kind", "app", "--json", data=data).stdout)
    assert (made["number"], made["device"]["kind"], made["device"]["expires_at"]) == ("101", "app", 0.0)
    store, _ = open_store(data)
    with closing(store):
        desk, door = store.devices(number="101")
    assert desk.ha1s["MD5"] == ha1("101", desk.realm, password, "MD5")
    assert desk.expires_at - desk.created_at == 14 * 86400
    assert (desk.security, door.name, door.ha1s["MD5"]) == (
        "required", "Door", ha1("101", door.realm, made["password"], "MD5")
    )  # fmt: skip
    listed = ringback("device", "list", "101", data=data).stdout
    assert re.search(rf"{desk.id} +101 +Desk +phone +never +20\d\d-\S+ \S+ +always encrypted\n", listed)
    assert {each["id"] for each in json.loads(ringback("device", "list", "--json", data=data).stdout)} == {
        desk.id, door.id
    }  # fmt: skip
    assert (
        ringback("device", "remove", desk.id[:8], data=data).stdout
        == "Device 'Desk' of user 101 is removed.\n"
    )
    assert ringback("user", "password", "101", "--no-qr", data=data).returncode == 0
    assert re.search(rf"^{door.id}", ringback("device", "list", data=data).stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["add", "999", "X"], 1, "there is no user '999'; the users are 101"),
        (["add", "101", "X", "--for", "5"], 2, "'5' is no time: write 8h, 30d or 2w"),
        (["add", "101", "a\x1b[31mb"], 2, "the name has characters that cannot be seen"),
        (["remove", "abc"], 1, "there is no such device: 'abc'"),
        (["remove", ""], 1, "there is no such device: ''"),
        (["list", "999"], 1, "there is no user '999'"),
    ],
)
def test_a_device_that_makes_no_sense_is_one_clear_line(
    data: Path, arguments: list[str], code: int, complaint: str
) -> None:
    assert ringback("user", "add", "101", "--no-qr", data=data).returncode == 0
    done = ringback("device", *arguments, data=data)
    assert (done.returncode, done.stdout) == (code, "")
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_registrations_come_from_the_store_when_no_server_runs(data: Path) -> None:
    assert ringback("registrations", data=data).stdout == "No phone is registered.\n"
    assert ringback("user", "add", "101", data=data).returncode == 0
    store, _ = open_store(data)
    with closing(store):
        store.put_binding(
            BindingRecord("101", "k", "<sip:101@10.0.0.2:5062>", time.time() + 100, transport="TCP",
                          remote_host="10.0.0.2", remote_port=4000, user_agent="Phone\x1b[2J/1")
        )  # fmt: skip
    shown = ringback("registrations", data=data)
    assert shown.returncode == 0
    assert re.search(
        r"USER +CONTACT +TRANSPORT +SOURCE +EXPIRES +AGENT\n"
        r"101 +<sip:101@10\.0\.0\.2:5062> +TCP +10\.0\.0\.2:4000 +in (9\d|100) s +Phone\\x1b\[2J/1\n",
        shown.stdout,
    ), shown.stdout
    assert "the server is not running" in shown.stderr
    (listed,) = json.loads(ringback("registrations", "--json", data=data).stdout)
    assert (listed["user"], listed["transport"], listed["source"]) == ("101", "TCP", "10.0.0.2:4000")


@pytest.mark.parametrize(
    "command", [["reload"], ["status"], ["user", "remove", "1"], ["user", "password", "1"]]
)
def test_without_a_server_or_data_one_sentence_says_so(command: list[str], data: Path) -> None:
    done = ringback(*command, data=data)
    assert done.returncode == 1
    assert re.fullmatch(
        r"ringback: (no server is running on|there is no data directory) \S+.*\n", done.stderr
    )


def test_config_check_tells_all_mistakes_with_their_places(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text("[sip]\nport = 5070\n")
    bad.write_text('[sip]\nprot = 1\n\n[registrar]\nmax_contacts = "3"\n')
    done = ringback("config", "check", str(good))
    assert (done.returncode, done.stdout) == (0, f"{good}: nothing is wrong (1 setting)\n")
    done = ringback("config", "check", str(bad))
    assert done.returncode == 1
    assert done.stderr == (
        f"{bad}:2:1: there is no setting 'sip.prot'; did you mean 'port'?\n"
        f'{bad}:5:16: registrar.max_contacts must be a whole number from 1 to 100, not "3"\n'
        f"ringback: {bad} has 2 mistakes\n"
    )
    done = ringback("config", "check", str(tmp_path / "none.toml"))
    assert (done.returncode, done.stderr) == (
        1, f"ringback: {tmp_path}/none.toml: cannot be read: No such file or directory\n",
    )  # fmt: skip


def test_config_show_says_who_set_what(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[sip]\nport = 5070\n")
    done = ringback("config", "show", "--config", str(file), RINGBACK_DOMAIN="a.example")
    assert re.search(
        rf"sip\.domain +a\.example +RINGBACK_DOMAIN\nsip\.port +5070 +{re.escape(str(file))}:2:8\n",
        done.stdout,
    )


def test_a_bad_file_stops_serve_before_anything_is_made(tmp_path: Path, data: Path) -> None:
    (tmp_path / "bad.toml").write_text("[sip]\nport = x\n")
    done = ringback_program("serve", "--config", str(tmp_path / "bad.toml"), data=data)
    assert done.returncode == 1
    assert done.stderr == f"ringback: {tmp_path}/bad.toml:2:8: this is not TOML: invalid value\n"
    assert not data.exists()


def test_a_damaged_store_and_a_directory_that_cannot_be_made_are_one_sentence(
    tmp_path: Path, data: Path
) -> None:
    data.mkdir()
    (data / "ringback.db").write_bytes(b"no database" * 1000)
    done = ringback("user", "list", data=data)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "it is damaged" in done.stderr
    (tmp_path / "file").write_text("")
    done = ringback("user", "add", "101", data=tmp_path / "file" / "data")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "cannot be made" in done.stderr


def test_names_print_on_terminals_that_know_few_letters(data: Path) -> None:
    few = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    added = ringback_program("user", "add", "101", "Zoë 李", data=data, **few)
    assert added.returncode == 0, added.stderr
    assert "\\u2588" not in added.stdout
    assert "101     Zo\ufffd \\u674e\n" in ringback_program("user", "list", data=data, **few).stdout.replace(
        "\xeb", "\ufffd"
    )
