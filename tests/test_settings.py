"""Settings: what a client accepts, what it refuses, and where they come from."""

from __future__ import annotations

import hashlib
import ssl
import string
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr

from mailstore import MailStoreServer, RetryPolicy, Settings
from mailstore.errors import ConfigurationError
from mailstore.sandbox import Sandbox
from mailstore.settings import normal_fingerprint

DIGEST = hashlib.sha256(b"certificate").hexdigest()
NORMAL = "sha256:" + ":".join(DIGEST.upper()[i : i + 2] for i in range(0, 64, 2))
ARCHIVE = Settings(host="archive.example.com", password="hunter2!")

texts = st.text(st.characters() | st.sampled_from("/:@?#[]%\\ \r\n\t\0.-_\u200e"), max_size=20)
"""Any texts, with more than their share of what means something in an URL or a header."""


# --------------------------------------------------------------------------------------- address


@hypothesis_settings(deadline=None, max_examples=500)
@given(texts)
@example("archive.example.com/path")
@example("admin:secret@archive.example.com")
@example("archive.example.com:8463")
@example("fe80::1%/evil?x")
@example("fe80::1%eth0")
@example("example.com\r\nX-Header: y")
@example("[::1]:80")
@example("[archive.example.com]")
@example("℀.example.com")
@example("\u3002")
@example("a" * 300)
def test_a_host_can_be_nothing_but_a_host(text: str) -> None:
    """Whatever is accepted stands alone in an URL: no port, path, login or line end comes with it."""
    try:
        accepted = Settings(host=text, password="x")
    except ConfigurationError:
        return
    assert set(accepted.host) <= set(string.ascii_letters + string.digits + ".-_:")
    split = urlsplit(f"https://{accepted.server}/api/invoke/GetUsers")
    assert (split.hostname or "").lower() == accepted.host.lower()
    assert (split.port, split.path, split.username, split.query, split.fragment) == (
        8463,
        "/api/invoke/GetUsers",
        None,
        "",
        "",
    )


@pytest.mark.parametrize(
    ("given", "server"),
    [
        ("archive.example.com", "archive.example.com:8463"),
        ("MAILSTORE_01", "MAILSTORE_01:8463"),
        ("192.0.2.7", "192.0.2.7:8463"),
        ("2001:DB8:0::1", "[2001:db8::1]:8463"),
        ("[::1]", "[::1]:8463"),
        ("bücher.example", "xn--bcher-kva.example:8463"),
    ],
)
def test_hosts_are_names_and_addresses(given: str, server: str) -> None:
    assert Settings(host=given, password="x").server == server


@pytest.mark.parametrize("host", [None, 5, b"archive", "", "https://archive.example.com", "a..b", "-a", "a b"])
def test_what_is_no_host_is_refused_with_a_hint(host: Any) -> None:
    with pytest.raises(ConfigurationError, match="host must be a host name or an IP address"):
        ARCHIVE.changed(host=host)


def test_a_login_inside_of_a_host_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings(host="https://admin:hunter2!@archive.example.com", password="x")
    assert "hunter2!" not in f"{caught.value} {caught.value.__context__}"


@pytest.mark.parametrize("port", [0, -1, 65536, "8463", 8463.0, True, None])
def test_a_port_is_a_number_that_can_be_one(port: Any) -> None:
    with pytest.raises(ConfigurationError, match="port must be a number from 1 to 65535"):
        ARCHIVE.changed(port=port)


# ----------------------------------------------------------------------------------------- login


@hypothesis_settings(deadline=None)
@given(texts)
@example("admin:extra")
@example("admin\r\nX-Header: y")
@example("\ud800")
@example("")
def test_a_user_name_cannot_run_into_the_password_or_the_header(text: str) -> None:
    try:
        accepted = ARCHIVE.changed(username=text)
    except ConfigurationError:
        return
    assert accepted.username
    assert ":" not in accepted.username
    assert accepted.username.isprintable()
    accepted.username.encode()


@pytest.mark.parametrize("password", [None, 5, b"bytes", ["a"]])
def test_a_password_is_a_text_or_a_function(password: Any) -> None:
    with pytest.raises(ConfigurationError, match="password must be a text or a function"):
        ARCHIVE.changed(password=password)


@pytest.mark.parametrize("password", ["hunter2!", SecretStr("hunter2!"), lambda: "hunter2!"])
def test_a_password_comes_in_three_forms_and_shows_in_none(password: Any) -> None:
    settings = ARCHIVE.changed(password=password)
    assert settings.reveal_password() == "hunter2!"
    assert "hunter2!" not in f"{settings!r} {settings} {settings.password!r}"


def test_a_password_function_is_asked_once_and_not_before_the_first_call(sandbox: Sandbox) -> None:
    asked: list[str] = []

    def fetch() -> str:
        asked.append("asked")
        return sandbox.password

    with (
        MailStoreServer(sandbox.host, port=sandbox.port, password=fetch, fingerprint=sandbox.fingerprint) as server,
        server.with_options(timeout=5) as other,
    ):
        assert asked == []
        server.get_server_info()
        other.get_server_info()
        server.get_users()
        assert asked == ["asked"]


@pytest.mark.parametrize("fetched", [None, 5, "undecod\udce4ble"])
def test_a_password_function_must_return_a_text_that_can_be_sent(sandbox: Sandbox, fetched: Any) -> None:
    with (
        MailStoreServer(sandbox.host, port=sandbox.port, password=lambda: fetched) as server,
        pytest.raises(ConfigurationError, match="password") as caught,
    ):
        server.get_users()
    assert "undecod" not in str(caught.value)
    assert sandbox.connections.accepted == 0


# ----------------------------------------------------------------------------------------- trust


@hypothesis_settings(deadline=None)
@given(
    digest=st.binary(min_size=32, max_size=32),
    prefix=st.sampled_from(
        ["", "sha256:", "SHA256:", "SHA-256: ", "sha256=", "sha256 Fingerprint=", "SHA256 Fingerprint: ", "\u200e"]
    ),
    separator=st.sampled_from(["", ":", " ", ": ", "-"]),
    upper=st.booleans(),
    around=st.sampled_from(["", " ", "\n", "\t"]),
)
def test_a_fingerprint_may_be_spelt_in_many_ways(
    digest: bytes, prefix: str, separator: str, upper: bool, around: str
) -> None:
    pairs = [f"{byte:02X}" if upper else f"{byte:02x}" for byte in digest]
    accepted = normal_fingerprint(around + prefix + separator.join(pairs) + around)
    assert accepted == "sha256:" + ":".join(f"{byte:02X}" for byte in digest)
    assert normal_fingerprint(accepted) == accepted


@pytest.mark.parametrize(
    ("fingerprint", "reason"),
    [
        (hashlib.sha1(b"x").hexdigest(), "SHA1 can be forged"),  # noqa: S324
        ("sha1:" + hashlib.sha1(b"x").hexdigest(), "SHA1 can be forged"),  # noqa: S324
        ("SHA1 Fingerprint=" + hashlib.sha1(b"x").hexdigest(), "SHA1 can be forged"),  # noqa: S324
        (hashlib.md5(b"x").hexdigest(), "MD5 can be forged"),  # noqa: S324
        ("md5:" + hashlib.md5(b"x").hexdigest(), "MD5 can be forged"),  # noqa: S324
        ("sha1:" + DIGEST, "SHA1 can be forged"),
        ("sha512:" + DIGEST, "64 hex digits"),
        (DIGEST[:-1], "64 hex digits"),
        (DIGEST + "0", "64 hex digits"),
        (DIGEST[:-1] + "g", "64 hex digits"),
        ("", "64 hex digits"),
        (b"x" * 32, "64 hex digits"),
        (5, "64 hex digits"),
    ],
)
def test_other_fingerprints_are_refused(fingerprint: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        ARCHIVE.changed(fingerprint=fingerprint)


@hypothesis_settings(deadline=None)
@given(texts | st.text("0123456789abcdefABCDEF:sha- ", max_size=100))
def test_any_other_text_is_a_fingerprint_or_a_typed_error(text: str) -> None:
    try:
        accepted = normal_fingerprint(text)
    except ConfigurationError:
        return
    assert len(accepted) == len(NORMAL)


def test_tls_settings_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="contradict each other"):
        ARCHIVE.changed(fingerprint=DIGEST, verify=False)
    with pytest.raises(ConfigurationError, match="contradict each other"):
        MailStoreServer("archive.example.com", password="x", fingerprint=DIGEST, verify=False)
    authority = tmp_path / "ca.pem"
    authority.touch()
    for verify in (True, "system", authority, str(authority), tmp_path, ssl.create_default_context()):
        assert ARCHIVE.changed(fingerprint=DIGEST, verify=verify).fingerprint == NORMAL


@pytest.mark.parametrize("verify", [None, 1, "", b"ca.pem", "no/such/file.pem", Path("no/such/file.pem"), "x" * 5000])
def test_trust_that_is_none_is_refused(verify: Any) -> None:
    with pytest.raises(ConfigurationError, match="verify"):
        ARCHIVE.changed(verify=verify)


# --------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf"), 10**400, "1", None, True])
@pytest.mark.parametrize("name", ["timeout", "poll_wait", "deadline", "max_connections"])
def test_numbers_that_make_no_sense_are_refused_by_name(name: str, bad: Any) -> None:
    changes: dict[str, Any] = {name: bad}
    if (name, bad) == ("deadline", None):
        assert ARCHIVE.changed(**changes).deadline is None
        return
    with pytest.raises(ConfigurationError, match=name):
        ARCHIVE.changed(**changes)


@pytest.mark.parametrize(
    "wrong",
    [{"attempts": 0}, {"attempts": 1.5}, {"first_pause": -1}, {"longest_pause": "1"}, {"poll_patience": float("nan")}],
)
def test_a_retry_policy_is_checked_as_well(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"RetryPolicy.{next(iter(wrong))}"):
        RetryPolicy(**wrong)


def test_zero_means_at_once_where_that_makes_sense() -> None:
    assert ARCHIVE.changed(poll_wait=0).poll_wait == 0
    for name in ("timeout", "deadline", "max_connections"):
        zero: dict[str, Any] = {name: 0}
        with pytest.raises(ConfigurationError, match=name):
            ARCHIVE.changed(**zero)


@given(
    attempt=st.integers(1, 10_000),
    chance=st.floats(0, 1),
    asked=st.none() | st.floats(0, 1e6),
    first=st.floats(0, 100),
    longest=st.floats(0, 100),
)
def test_a_pause_grows_and_is_bounded_even_where_the_server_asks_for_more(
    attempt: int, chance: float, asked: float | None, first: float, longest: float
) -> None:
    policy = RetryPolicy(first_pause=first, longest_pause=longest)
    pause = policy.pause(attempt, lambda: chance, asked)
    assert 0 <= pause <= longest
    assert pause >= min(first, longest) / 2
    assert asked is None or pause >= min(asked, longest)
    assert policy.pause(attempt + 1, lambda: chance, asked) >= pause


# ------------------------------------------------------------------------------------ the object


def test_settings_are_frozen_and_compare_by_value() -> None:
    with pytest.raises(FrozenInstanceError):
        ARCHIVE.host = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    same = Settings(host="archive.example.com", password=SecretStr("hunter2!"))
    assert same == ARCHIVE
    assert hash(same) == hash(ARCHIVE)
    assert same != ARCHIVE.changed(password="other")


def test_changing_checks_again_and_leaves_the_first_as_it_was() -> None:
    changed = ARCHIVE.changed(port=443, timeout=5)
    assert (changed.port, changed.timeouts) == (443, (5, 5))
    assert (ARCHIVE.port, ARCHIVE.timeouts) == (8463, (10, 120))
    unknown: dict[str, Any] = {"hots": "x"}
    with pytest.raises(ConfigurationError, match="unknown settings: hots"):
        ARCHIVE.changed(**unknown)


# ----------------------------------------------------------------------------------- environment


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    environ = {
        "MAILSTORE_HOST": "archive.example.com",
        "MAILSTORE_PORT": "443",
        "MAILSTORE_USERNAME": "robot",
        "MAILSTORE_PASSWORD": "hunter2!",
        "MAILSTORE_FINGERPRINT": DIGEST,
        "MAILSTORE_CA_FILE": str(authority),
        "MAILSTORE_SOMETHING": "else",
    }
    settings = Settings.from_env(environ)
    assert settings == Settings(
        host="archive.example.com",
        port=443,
        username="robot",
        password="hunter2!",
        fingerprint=NORMAL,
        verify=str(authority),
    )
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert Settings.from_env() == settings
    assert MailStoreServer.from_env().settings == settings
    assert Settings.from_env(environ, port=1, timeout=3) == settings.changed(port=1, timeout=3)


def test_what_the_environment_lacks_has_its_default() -> None:
    needed = {"MAILSTORE_HOST": "archive.example.com", "MAILSTORE_PASSWORD": "hunter2!"}
    assert Settings.from_env(needed) == ARCHIVE
    assert Settings.from_env(needed | {"MAILSTORE_PORT": "", "MAILSTORE_FINGERPRINT": ""}) == ARCHIVE
    assert Settings.from_env({"MAILSTORE_HOST": "archive.example.com"}, password="hunter2!") == ARCHIVE
    for name in needed:
        for environ in ({**needed, name: ""}, {other: needed[other] for other in needed if other != name}):
            with pytest.raises(ConfigurationError, match=f"{name} is not set"):
                Settings.from_env(environ)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAILSTORE_HOST", "https://archive.example.com"),
        ("MAILSTORE_PORT", "https"),
        ("MAILSTORE_PORT", "-1"),
        ("MAILSTORE_PORT", "0"),
        ("MAILSTORE_PORT", "99999"),
        ("MAILSTORE_PORT", "8463 "),
        ("MAILSTORE_PORT", "٨٤٦٣"),
        ("MAILSTORE_PORT", "9" * 5000),
        ("MAILSTORE_USERNAME", "a:b"),
        ("MAILSTORE_PASSWORD", "hunter\udce42"),
        ("MAILSTORE_FINGERPRINT", "ab:cd"),
        ("MAILSTORE_CA_FILE", "no/such/file.pem"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(name: str, value: str) -> None:
    environ = {"MAILSTORE_HOST": "archive.example.com", "MAILSTORE_PASSWORD": "hunter2!", name: value}
    with pytest.raises(ConfigurationError, match=f"the environment variable {name}") as caught:
        Settings.from_env(environ)
    assert "hunter" not in str(caught.value)
