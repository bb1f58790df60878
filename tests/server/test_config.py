# SPDX-License-Identifier: Apache-2.0
"""What settings may be, and how a mistake is told."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from ringback.server.config import Settings, SipSettings
from ringback.server.config_file import ConfigurationError, check_file, load_settings
from ringback.server.config_schema import all_settings


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        file = tmp_path / "ringback.toml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return write


def mistakes(file: Path) -> list[str]:
    """All that is wrong with a file, without its path."""
    with pytest.raises(ConfigurationError) as caught:
        check_file(file)
    return [str(problem).removeprefix(str(file)).lstrip(":") for problem in caught.value.problems]


def test_every_setting_has_a_default_and_a_documentation() -> None:
    assert Settings() == Settings.model_validate({})
    for path, info in all_settings():
        assert info.description, f"{'.'.join(path)} has no docstring"
        assert not info.is_required()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().demo = True
    with pytest.raises(ValidationError):
        Settings().sip.port = 1


def test_all_mistakes_are_told_at_once_with_place_rule_and_nearest_name(write) -> None:
    file = write(
        'domain = "x"\n'
        "[sip]\n"
        'domian = "example.com"\n'
        "port = 70000\n"
        'tls_port = "5061"\n'
        'host = ["10.0.0.1", "foo"]\n'
        "[registar]\n"
        "[log]\n"
        'level = "inof"\n'
        "[proxy]\n"
        "record_route = 1\n"
        "max_contacts = 3\n"
        "[authentication]\n"
        'algorithms = ["md5"]\n'
    )
    assert mistakes(file) == [
        "1:1: there is no section or setting 'domain'; did you mean 'domain' in [sip]?",
        "3:1: there is no setting 'sip.domian'; did you mean 'domain'?",
        "4:8: sip.port must be a whole number from 0 to 65535, not 70000",
        '5:12: sip.tls_port must be a whole number from 0 to 65535, not "5061"',
        "6:21: sip.host[1]: 'foo' is no IP address",
        "7:2: there is no section or setting 'registar'; did you mean 'registrar'?",
        '9:9: log.level must be one of "debug", "info", "warning", "error", not "inof"; did you mean "info"?',
        "11:16: proxy.record_route must be true or false, not 1",
        "12:1: there is no setting 'proxy.max_contacts'; did you mean 'max_contacts' in [registrar]?",
        '14:15: authentication.algorithms[0] must be one of "SHA-512-256", "SHA-256", "MD5", not "md5"; '
        'did you mean "MD5"?',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[sip\n", "1:5: this is not TOML: expected ']' at the end of a table declaration"),
        ("a = 1\na = 2\n", "2:6: this is not TOML: cannot overwrite a value"),
        ('a = """\nb', "2:2: this is not TOML: unterminated string"),
        (b"# caf\xe9\n", "1:6: the byte 0xe9 is not UTF-8 text"),
        ("a = " + "[" * 50_000, "has lists or tables nested too deeply"),
        ("#" * 1_100_000, "is longer than 1048576 bytes; this is no settings file"),
        ("sip = 1\n", "1:7: sip must be a table, written as [sip], not 1"),
        ("[sip]\nhost = 5\n", "2:8: sip.host must be a list of texts in quotes, not 5"),
        ("[sip]\nhost = []\n", "2:8: sip.host must be a list of 1 to 16 entries, not []"),
        ("[sip]\nport = 2024-01-01\n",
         '2:8: sip.port must be a whole number from 0 to 65535, not ["2024-01-01"]'),
        ("[proxy]\nring_time = nan\n", "2:13: proxy.ring_time must be a number from 5 to 600, not nan"),
        ("[log]\nlevel = 'zzz'\n",
         '2:9: log.level must be one of "debug", "info", "warning", "error", not "zzz"'),
        ("[sip]\ndomain = 'exa mple'\n", "2:10: sip.domain: 'exa mple' is no domain name and no IP address"),
        ("[sip]\ndomain = '999.1.1.1'\n",
         "2:10: sip.domain: '999.1.1.1' is no domain name and no IP address"),
        ("[sip]\nhost = '::ffff:1.2.3.4'\n", "2:8: sip.host[0]: '::ffff:1.2.3.4' is no plain IPv6 address"),
        ("[registrar]\nminimum_expires = 9000\n",
         "registrar.default_expires is less than minimum_expires (9000)"),
        ("[sip]\nport = 5061\n", "sip.tls_port is the same port as sip.port (5061)"),
        ("[media]\nfirst_port = 30000\n", "media.last_port is not above first_port (30000)"),
        ("[overload]\nshortest_retry = 60\n",
         "overload.longest_retry is less than shortest_retry (60)"),
        ("[tls]\nkey = 'k.pem'\n", "2:7: tls.key is given without tls.certificate; both or none are needed"),
        ("[sip]\nadvertise = ['1.2.3.4', '1.2.3.5']\n",
         "2:13: sip.advertise has two addresses of one family; one for IPv4 and one for IPv6 can be told"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_where_it_stands(write, text: str | bytes, expected: str) -> None:
    found = mistakes(write(text))
    assert len(found) == 1
    assert found[0].strip().endswith(expected), found


def test_a_missing_file_and_a_directory_are_one_line(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none", "No such file or directory"), (tmp_path, "Is a directory")):
        assert mistakes(path) == [f" cannot be read: {reason}"]


def test_flag_beats_variable_beats_file_beats_default(write, tmp_path: Path) -> None:
    file = write("[sip]\nport = 1001\ntls_port = 1002\n[web]\nhttp_port = 1003\n[proxy]\nring_time = 7\n")
    environment = {
        "RINGBACK_CONFIG": str(file),
        "RINGBACK_SIP__PORT": "2001",
        "RINGBACK_SIP_PORT": "3001",
        "RINGBACK_TLS_PORT": "3002",
        "RINGBACK_HOST": "127.0.0.1, ::1",
        "RINGBACK_SIP__ALIASES": "a.example,b.example",
        "RINGBACK_PROXY__STRANGERS_MAY_CALL": "yes",
        "RINGBACK_KERNEL": "python",
    }
    loaded = load_settings({"sip_port": 4001, "domain": None, "host": ()}, environment)
    settings = loaded.settings
    assert (settings.sip.port, settings.sip.tls_port, settings.web.http_port, settings.web.https_port) == (
        4001, 3002, 1003, 8443,
    )  # fmt: skip
    assert settings.sip.host == ("127.0.0.1", "::1")
    assert settings.sip.aliases == ("a.example", "b.example")
    assert settings.proxy.strangers_may_call
    assert settings.proxy.ring_time == 7.0
    assert loaded.warnings == ()
    assert loaded.origins[("sip", "port")] == "--sip-port"
    assert loaded.origins[("sip", "tls_port")] == "RINGBACK_TLS_PORT"
    assert loaded.origins[("proxy", "ring_time")] == f"{file}:7:13"


def test_mistakes_in_flags_and_variables_are_named_after_them() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"sip_port": 99999}, {"RINGBACK_DEMO": "maybe", "RINGBACK_MEDIA__MAX_CALLS": "1_0"})
    assert [str(problem) for problem in caught.value.problems] == [
        "--sip-port: sip.port must be a whole number from 0 to 65535, not 99999",
        'RINGBACK_DEMO: demo must be true or false, not "maybe"',
        'RINGBACK_MEDIA__MAX_CALLS: media.max_calls must be a whole number from 1 to 10000, not "1_0"',
    ]


def test_a_variable_nobody_knows_is_a_warning_with_the_nearest_name() -> None:
    loaded = load_settings({}, {"RINGBACK_SIP__DOMIAN": "x", "RINGBACK_SIP": "x", "HOME": "/nowhere"})
    assert loaded.warnings == (
        "RINGBACK_SIP is no setting and is ignored; did you mean RINGBACK_SIP_PORT?",
        "RINGBACK_SIP__DOMIAN is no setting and is ignored; did you mean RINGBACK_SIP__DOMAIN?",
    )


def test_the_file_in_the_data_directory_is_found_and_its_paths_are_relative_to_it(
    write, tmp_path: Path
) -> None:
    file = write("[tls]\ncertificate = 'c.pem'\nkey = '/k.pem'\n")
    loaded = load_settings({"data": str(tmp_path)}, {})
    assert loaded.file == file
    assert loaded.settings.tls.certificate == tmp_path / "c.pem"
    assert loaded.settings.tls.key == Path("/k.pem")


def test_names_and_addresses_come_out_in_one_spelling() -> None:
    settings = SipSettings(
        domain="EXAMPLE.com.", host=("2001:DB8:0::1",), aliases=("[2001:db8:0::2]", "a_b.example")
    )
    assert settings.domain == "example.com"
    assert settings.host == ("2001:db8::1",)
    assert settings.aliases == ("2001:db8::2", "a_b.example")


def test_a_byte_order_mark_and_windows_line_ends_are_fine(write) -> None:
    file = write(b"\xef\xbb\xbf[sip]\r\nport = 1\r\nx = 2\r\n")
    (mistake,) = mistakes(file)
    assert mistake.startswith("3:1: there is no setting 'sip.x'; there are: domain, aliases, host, ")
