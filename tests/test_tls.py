"""Whom a client trusts is what its caller said, and nothing that lies around on the machine changes it."""

from __future__ import annotations

import base64
import socket
import ssl
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import trustme

import mailstore
from mailstore import MailStoreServer, SecurityWarning, _transport, fetch_fingerprint
from mailstore.errors import (
    ArgumentError,
    CertificateError,
    ClientClosedError,
    ConfigurationError,
    ConnectionFailedError,
    RequestTimeoutError,
    TlsError,
)
from mailstore.sandbox import Sandbox
from mailstore.settings import RetryPolicy
from tests.faulty import ENVELOPE, ONCE, SHORT, RawServer, client_of, error_of, http, settings_of
from tests.support import FakeClock


def client(sandbox: Sandbox, **options: Any) -> MailStoreServer:
    return MailStoreServer("127.0.0.1", port=sandbox.port, password=sandbox.password, retry=ONCE, **options)


def works(server: MailStoreServer) -> bool:
    with server:
        return server.get_server_info().version != ""


def refused(sandbox: Sandbox, server: MailStoreServer) -> CertificateError:
    """Return the error that a call ends with; not a byte of the request has left."""
    with server:
        error = error_of(server.get_server_info)
    assert type(error) is CertificateError
    assert not error.sent
    assert len(sandbox.calls) == 0
    return error


# ------------------------------------------------------------------------------- what is trusted


def test_a_certificate_is_verified_unless_told_otherwise(sandbox: Sandbox) -> None:
    error = refused(sandbox, client(sandbox))
    assert error.fingerprint == sandbox.fingerprint
    assert sandbox.fingerprint in error.message
    assert f"fingerprint={sandbox.fingerprint!r}" in (error.hint or "")
    assert "verify='/path/to/ca.pem'" in (error.hint or "")
    assert works(client(sandbox, fingerprint=error.fingerprint))  # the hint is worth its words


def test_the_tutorials_client_verifies_too(sandbox: Sandbox) -> None:
    with mailstore.server.Client(port=sandbox.port, logLevel=0) as server:
        assert type(error_of(server.GetServerInfo)) is CertificateError
    assert len(sandbox.calls) == 0


def test_a_file_of_authorities(sandbox: Sandbox, tmp_path: Path) -> None:
    assert works(client(sandbox, verify=sandbox.certificate))
    assert works(client(sandbox, verify=Path(sandbox.certificate)))
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    refused_by_other = client(sandbox, verify=other)
    sandbox.calls.clear()
    refused(sandbox, refused_by_other)
    refused(sandbox, client(sandbox, verify=tmp_path))  # a directory without any


def test_an_authority_vouches_for_the_names_in_the_certificate_only() -> None:
    authority: Any = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("archive.example.com").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with RawServer(lambda connection: connection.sendall(http(ENVELOPE)), context=context) as server:
        with MailStoreServer("127.0.0.1", port=server.port, password="secret", verify=trusting) as client:
            error = error_of(client.get_server_info)
        assert type(error) is CertificateError
        assert "127.0.0.1" in error.message
        assert error.fingerprint is not None
        with MailStoreServer("127.0.0.1", port=server.port, password="secret", fingerprint=error.fingerprint) as client:
            assert client.get_server_info().version == "1.0"
    assert len(server.requests) == 1


def test_a_context_is_used_as_it_is(sandbox: Sandbox) -> None:
    context = ssl.create_default_context(cafile=sandbox.certificate)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    before = (context.verify_mode, context.check_hostname, context.minimum_version, context.options)
    assert works(client(sandbox, verify=context))
    assert (context.verify_mode, context.check_hostname, context.minimum_version, context.options) == before
    sandbox.calls.clear()
    refused(sandbox, client(sandbox, verify=ssl.create_default_context()))


def test_the_operating_systems_store_is_asked(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    import truststore

    made: list[ssl.SSLContext] = []

    class Recorded(truststore.SSLContext):
        def __init__(self, protocol: int) -> None:
            super().__init__(protocol)
            made.append(self)

    monkeypatch.setattr(truststore, "SSLContext", Recorded)
    refused(sandbox, client(sandbox, verify="system"))
    assert [context.minimum_version for context in made] == [ssl.TLSVersion.TLSv1_2]


@pytest.mark.skipif(sys.platform != "linux", reason="the store of Linux can be replaced by a variable of OpenSSL")
def test_what_the_operating_system_trusts_is_trusted(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", sandbox.certificate)
    assert works(client(sandbox, verify="system"))


def test_without_truststore_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "truststore", None)
    with MailStoreServer("127.0.0.1", password="secret", verify="system") as server:
        error = error_of(server.get_server_info)
    assert type(error) is ConfigurationError
    assert "pip install 'mailstore[truststore]'" in (error.hint or "")


def test_a_pinned_certificate_needs_no_authority(sandbox: Sandbox) -> None:
    printed = sandbox.fingerprint
    for spelt in (printed, printed.lower(), printed[7:], printed[7:].replace(":", ""), printed[7:].replace(":", " ")):
        assert works(client(sandbox, fingerprint=spelt))


def test_another_certificate_than_the_pinned_one_gets_not_a_byte(sandbox: Sandbox) -> None:
    error = refused(sandbox, client(sandbox, fingerprint="ab" * 32))
    assert error.fingerprint == sandbox.fingerprint
    assert f"its fingerprint is {sandbox.fingerprint}, not sha256:AB:AB:" in error.message
    assert "nothing was sent" in (error.hint or "")
    assert sandbox.connections.accepted == 1


def test_with_a_pin_and_an_authority_both_must_hold(sandbox: Sandbox, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    refused(sandbox, client(sandbox, verify=other, fingerprint=sandbox.fingerprint))
    refused(sandbox, client(sandbox, verify=sandbox.certificate, fingerprint="00" * 32))
    assert works(client(sandbox, verify=sandbox.certificate, fingerprint=sandbox.fingerprint))


@pytest.mark.parametrize("digits", [32, 40])
def test_pins_that_can_be_forged_are_refused(digits: int) -> None:
    with pytest.raises(ConfigurationError, match="SHA"):
        MailStoreServer("127.0.0.1", password="secret", fingerprint="a" * digits)


def test_a_file_that_is_no_certificate_is_a_mistake_of_the_set_up(sandbox: Sandbox, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    with client(sandbox, verify=garbage) as server:
        error = error_of(server.get_server_info)
    assert type(error) is ConfigurationError
    assert "garbage.pem" in error.message


# ------------------------------------------------------------------------------ switching it off


def test_switching_it_off_warns_once_and_names_the_line(sandbox: Sandbox) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with client(sandbox, verify=False) as server:
            for _ in range(3):
                server.get_server_info()
            server.with_options(timeout=5).get_server_info()
    assert [warning.category for warning in caught] == [SecurityWarning]
    assert caught[0].filename == __file__
    assert "can read the password" in str(caught[0].message)


def test_the_tutorials_way_to_switch_it_off_warns_as_well(sandbox: Sandbox) -> None:
    with (
        pytest.warns(SecurityWarning) as caught,
        mailstore.server.Client(port=sandbox.port, ignoreInvalidSSLCerts=True) as server,
    ):
        assert server.GetServerInfo()["statusCode"] == "succeeded"
    assert [warning.filename for warning in caught] == [__file__]


# ---------------------------------------------------------------------- what lies around elsewhere

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.mark.parametrize("variable", BUNDLES)
def test_the_environment_cannot_add_trust(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, sandbox.certificate)
    refused(sandbox, client(sandbox))
    refused(sandbox, client(sandbox, fingerprint="00" * 32))


@pytest.mark.parametrize("variable", BUNDLES)
def test_the_environment_cannot_take_trust_away(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    monkeypatch.setenv(variable, str(other))
    assert works(client(sandbox, verify=sandbox.certificate))
    assert works(client(sandbox, fingerprint=sandbox.fingerprint))
    with pytest.warns(SecurityWarning):
        assert works(client(sandbox, verify=False))


def test_a_netrc_cannot_replace_the_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("default login mallory password evil\n")
    (tmp_path / "_netrc").write_text("default login mallory password evil\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with RawServer(lambda connection: connection.sendall(http(ENVELOPE))) as server, client_of(server) as client:
        client.get_server_info()
    assert b"Authorization: Basic " + base64.b64encode(b"admin:admin") + b"\r\n" in server.requests[0]


def test_proxies_of_the_environment_see_nothing(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, address)
            monkeypatch.setenv(name.lower(), address)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert works(client(sandbox, fingerprint=sandbox.fingerprint))
        assert fetch_fingerprint("127.0.0.1", sandbox.port) == sandbox.fingerprint
        with pytest.raises(BlockingIOError):
            proxy.accept()


@pytest.mark.parametrize("password", ["pässwörd", "пароль", "😀🔑", "a:b:c", " blank ", "line\nfeed", "%41+%2B"])
def test_passwords_in_any_script_work(sandbox: Sandbox, password: str) -> None:
    with sandbox.world.lock:
        sandbox.world.set_administrator("jürgen", password)
    with MailStoreServer(
        "127.0.0.1", port=sandbox.port, username="jürgen", password=password, fingerprint=sandbox.fingerprint
    ) as server:
        assert server.get_server_info().version
    assert sandbox.calls[-1].http_status == 200


# --------------------------------------------------------------------------- other servers there


def test_a_server_that_speaks_no_tls_is_told_apart() -> None:
    clock = FakeClock()
    with (
        RawServer(lambda connection: None, handshake=False) as server,
        client_of(server, retry=RetryPolicy(), clock=clock) as client,
    ):
        error = error_of(client.get_server_info)
    assert type(error) is TlsError
    assert not error.sent
    assert "which speaks HTTPS with TLS 1.2 or newer" in (error.hint or "")
    assert (error.attempt, clock.pauses) == (1, [])


@pytest.fixture
def outdated() -> ssl.SSLContext:
    """Returns the context of a server that knows TLS 1.1 at best."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority: Any = trustme.CA()
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@pytest.mark.filterwarnings("ignore::mailstore.SecurityWarning")
@pytest.mark.parametrize("trust", [{"fingerprint": "00" * 32}, {"verify": False}, {"verify": "system"}, {}])
def test_old_tls_is_refused(outdated: ssl.SSLContext, trust: dict[str, Any]) -> None:
    with (
        RawServer(lambda connection: None, context=outdated) as server,
        MailStoreServer("127.0.0.1", port=server.port, password="secret", **trust) as client,
    ):
        error = error_of(client.get_server_info)
    assert type(error) is TlsError
    assert server.requests == []


# ------------------------------------------------------------------------ nothing can be smuggled


@pytest.mark.parametrize(
    "host",
    [
        "archive.example.com:443",
        "archive.example.com/api",
        "admin:secret@archive.example.com",
        "https://archive.example.com",
        "archive.example.com\r\nX-Evil: 1",
        "archive.example.com\n",
        "archive example com",
        "archive.example.com#",
        "archive.example.com?x",
        "archive.example.com\\evil",
        "[::1",
        "fe80::1%eth0\r\nX-Evil: 1",
        "fe80::1%]@evil.example.com",
        "-archive",
        "",
        "a" * 64,
        "a" * 300,
    ],
)
def test_a_host_is_a_host(host: str) -> None:
    with pytest.raises(ConfigurationError):
        MailStoreServer(host, password="secret")


@pytest.mark.parametrize("port", [0, -1, 65536, True, "8463/evil", 8463.5])
def test_a_port_is_a_port(port: Any) -> None:
    with pytest.raises(ConfigurationError):
        MailStoreServer("archive.example.com", port=port, password="secret")


@pytest.mark.parametrize("username", ["", "a:b", "a\r\nX-Evil: 1", "a\0"])
def test_a_username_is_a_username(username: str) -> None:
    with pytest.raises(ConfigurationError):
        MailStoreServer("archive.example.com", username=username, password="secret")


@pytest.mark.parametrize(
    "function", ["", "../get-metadata", "GetUsers?x=1", "GetUsers#", "Get Users", "GetUsers\r\nX: 1", "GetUsers\n", "Ä"]
)
def test_a_function_is_a_function(sandbox: Sandbox, function: str) -> None:
    with client(sandbox, fingerprint=sandbox.fingerprint) as server, pytest.raises(ArgumentError):
        server.call(function)
    assert sandbox.connections.accepted == 0


def test_arguments_stay_in_the_body() -> None:
    evil = "x\r\nX-Evil: 1\r\n\r\nPOST /api/invoke/DeleteUser HTTP/1.1\r\n&userName=mary"
    with RawServer(lambda connection: connection.sendall(http(ENVELOPE))) as server, client_of(server) as client:
        client.call("AnyFunction", {evil: evil, "token": evil})
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /api/invoke/AnyFunction HTTP/1.1"
    assert [line.split(b":")[0].lower() for line in lines[1:]] == [
        b"host",
        b"accept-encoding",
        b"content-length",
        b"authorization",
        b"content-type",
        b"user-agent",
    ]
    assert b"\n" not in body
    assert body.count(b"&") == 1


# -------------------------------------------------------------------------------- fingerprints


def test_fetching_a_fingerprint_sends_nothing() -> None:
    with RawServer(lambda connection: None) as server:
        assert fetch_fingerprint("127.0.0.1", server.port) == server.fingerprint
    assert server.requests == []


def test_fetching_a_fingerprint_fails_in_words_of_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert type(error_of(lambda: fetch_fingerprint("127.0.0.1", port))) is ConnectionFailedError
    assert type(error_of(lambda: fetch_fingerprint("no host", port))) is ConfigurationError
    with RawServer(lambda connection: None, handshake=False) as server:
        assert type(error_of(lambda: fetch_fingerprint("127.0.0.1", server.port))) is TlsError
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = error_of(lambda: fetch_fingerprint("127.0.0.1", silent.getsockname()[1], timeout=SHORT))
        assert type(error) is RequestTimeoutError


# ------------------------------------------------------------------------------ the end, and forks


def test_a_closed_client_says_so(sandbox: Sandbox) -> None:
    server = MailStoreServer.from_settings(settings_of(sandbox))
    with server:
        server.get_server_info()
    error = error_of(server.get_server_info)
    assert type(error) is ClientClosedError
    assert error.function == "GetServerInfo"
    sandbox.connections.wait_until_closed()
    assert sandbox.calls.count_of("GetServerInfo") == 1


def test_a_client_closed_under_a_call_that_is_about_to_begin_says_so(sandbox: Sandbox) -> None:
    server = MailStoreServer.from_settings(settings_of(sandbox))
    transport = server._engine.transport
    pool = transport._open()
    server.close()
    transport._pool = pool  # what a thread has in its hands that was interrupted just there
    assert type(error_of(server.get_server_info)) is ClientClosedError


def test_a_forked_process_makes_connections_of_its_own(sandbox: Sandbox) -> None:
    """With one connection for two processes, each would get the other's answers."""
    with MailStoreServer.from_settings(settings_of(sandbox)) as server:
        server.get_server_info()
        assert sandbox.connections.accepted == 1
        pool = server._engine.transport._pool
        server._engine.transport._lock.acquire()  # as another thread may have at the moment of the fork
        _transport._after_fork()
        server.get_server_info()
        assert sandbox.connections.accepted == 2
        assert pool is not server._engine.transport._pool


FORKING = """
import os, sys
from mailstore import MailStoreServer
from mailstore.sandbox import Sandbox

with Sandbox() as sandbox:
    client = MailStoreServer("127.0.0.1", port=sandbox.port, password="admin", fingerprint=sandbox.fingerprint)
    client.get_server_info()
    child = os.fork()
    if child == 0:
        client.get_server_info()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    client.get_server_info()
    print(status, sandbox.connections.accepted, sandbox.calls.count_of("GetServerInfo"))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_fork_and_its_parent_do_not_share_a_connection() -> None:
    done = subprocess.run(  # noqa: S603 - the text above
        [sys.executable, "-W", "ignore", "-c", FORKING], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["0", "2", "3"]
