"""How a client reaches its server: address, login, trust, timeouts, repetition."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, cast

from pydantic import SecretStr

from mailstore.errors import ConfigurationError

if TYPE_CHECKING:
    from typing import Self, Unpack

    from mailstore.models.envelope import StatusEnvelope

Verify: TypeAlias = bool | str | Path | ssl.SSLContext
"""How the certificate is checked: `True` against the bundled public authorities, ``"system"`` against
those of the operating system, the path of a file or directory of CA certificates, an `ssl.SSLContext`,
or `False` for no check at all."""

Password: TypeAlias = str | SecretStr | Callable[[], str]
"""A password, or a function that fetches it when the first call is made."""

Timeout: TypeAlias = float | tuple[float, float]
"""Seconds to wait for an answer, or (seconds to connect, seconds to wait for an answer)."""

Progress: TypeAlias = "Callable[[StatusEnvelope[Any]], object]"
"""Is called with every status of a task: the first, each later one, and the last."""

CONNECT_TIMEOUT = 10.0
"""Seconds to connect, unless told otherwise."""

READ_TIMEOUT = 120.0
"""Seconds to wait for the answer of a call, unless told otherwise."""

_FOR_EVER = 1e9
_LONGEST_POLL = 2_147_483
"""Seconds; as milliseconds, the largest number that fits into what the server counts with."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a call is sent again, and how long after.

    What was never sent may be sent again: nobody listened, the connection failed before
    the request. What may have been carried out is repeated only when the function is
    declared repeatable (``Get…``). Polls of a task are always repeatable; they go on
    until the caller's deadline, or for `poll_patience` seconds without an answer.
    The pause doubles from `first_pause` up to `longest_pause`; half of it is random, so
    that many clients do not come back at the same moment.
    """

    attempts: int = 3
    """How often a call is sent at most, the first time included; 1 switches repeating off."""

    first_pause: float = 0.25
    """Seconds before the second attempt, half of it random."""

    longest_pause: float = 10.0
    """Upper bound of a pause in seconds, also of one that the server asks for."""

    poll_patience: float = 300.0
    """Seconds that polling goes on without any answer when the caller has set no deadline."""

    def __post_init__(self) -> None:
        _check_count("RetryPolicy.attempts", self.attempts)
        for name in ("first_pause", "longest_pause", "poll_patience"):
            checked_seconds(f"RetryPolicy.{name}", getattr(self, name), zero=True)

    def pause(self, attempt: int, random: Callable[[], float], asked: float | None = None) -> float:
        """Return the seconds to wait after a failed attempt.

        Args:
            attempt: Number of the attempt that failed, from 1.
            random: Returns a number from 0 to 1.
            asked: Seconds that the server asked for, if it did.
        """
        full = min(self.first_pause * 2.0 ** min(attempt - 1, 30), self.longest_pause)
        return max(full * (0.5 + random() / 2), min(asked or 0.0, self.longest_pause))


class Options(TypedDict, total=False):
    """The settings that do not belong to the connections; see `Settings` for what they are."""

    timeout: Timeout
    poll_wait: float
    deadline: float | None
    on_progress: Progress | None
    retry: RetryPolicy
    pause_collector: bool


class Changes(Options, total=False):
    """All settings, each of which may be left out; see `Settings` for what they are."""

    host: str
    password: Password
    port: int
    username: str
    verify: Verify
    fingerprint: str | None
    max_connections: int


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that makes a client, checked when it is made and unchangeable after.

    Settings can be pickled, which is how a client travels to another process; the
    password travels with them and is shown nowhere.

    Raises:
        ConfigurationError: A value makes no sense, or two contradict each other.
    """

    host: str
    """Host name or IP address of the server."""

    password: Password = field(repr=False)
    """Password of the account; an app or API password where a second factor is asked for."""

    port: int = 8463
    """TCP port of the Administration API."""

    username: str = "admin"
    """Login name of an administrator."""

    verify: Verify = True
    """How the certificate is checked."""

    fingerprint: str | None = None
    """SHA-256 fingerprint of the server's certificate; alone it stands in for the check of the chain."""

    timeout: Timeout = (CONNECT_TIMEOUT, READ_TIMEOUT)
    """Seconds for one HTTP exchange."""

    poll_wait: float = 5.0
    """Seconds that the server may hold a poll when there is nothing new."""

    deadline: float | None = None
    """Seconds that a call may take until its result is there; `None` for as long as it takes."""

    on_progress: Progress | None = field(default=None, repr=False)
    """Is called with every status of every task."""

    retry: RetryPolicy = field(default_factory=RetryPolicy)
    """When a call is sent again."""

    max_connections: int = 64
    """How many idle connections are kept open."""

    pause_collector: bool = True
    """Whether Python's garbage collector rests while a very large answer is read: it would walk every
    new row again and again, two thirds of the time. The pause is for the whole process, and short."""

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            object.__setattr__(self, name, check(getattr(self, name)))
        if self.fingerprint is not None and self.verify is False:
            raise ConfigurationError(
                "fingerprint and verify=False contradict each other: one pins the certificate, the other accepts any",
                hint="leave verify out, the fingerprint alone accepts a self-signed certificate",
            )
        checked_seconds("poll_wait", self.poll_wait, zero=True, most=_LONGEST_POLL)
        if self.deadline is not None:
            checked_seconds("deadline", self.deadline)
        _check_count("max_connections", self.max_connections)

    @property
    def server(self) -> str:
        """``host:port``, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def timeouts(self) -> tuple[float, float]:
        """Seconds to connect and seconds to wait for an answer."""
        return self.timeout if isinstance(self.timeout, tuple) else (self.timeout, self.timeout)

    def reveal_password(self) -> str:
        """Return the password, fetching it where it is a function.

        Raises:
            ConfigurationError: The function did not return a text that can be sent.
        """
        known = self.password
        if callable(known):
            fetched = cast("object", known())
            if not isinstance(fetched, str):
                raise ConfigurationError("the password function must return a text")
            known = _password(fetched)
        return known.get_secret_value() if isinstance(known, SecretStr) else cast("str", known)

    def changed(self, **changes: Unpack[Changes]) -> Self:
        """Return a copy with other values, checked again.

        Raises:
            ConfigurationError: There is no such setting, or a value makes no sense.
        """
        unknown = changes.keys() - {known.name for known in fields(self)}
        if unknown:
            raise ConfigurationError(f"unknown settings: {', '.join(sorted(unknown))}")
        return replace(self, **changes)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **changes: Unpack[Changes]) -> Self:
        """Read the settings from environment variables.

        ``MAILSTORE_HOST`` and ``MAILSTORE_PASSWORD`` are needed; ``MAILSTORE_PORT``,
        ``MAILSTORE_USERNAME``, ``MAILSTORE_FINGERPRINT`` and ``MAILSTORE_CA_FILE`` are optional.
        An empty variable counts as absent.

        Args:
            environ: The variables; those of the process if left out.
            **changes: Settings that come before the environment.

        Raises:
            ConfigurationError: A variable is missing or makes no sense; the message names it.
        """
        variables = os.environ if environ is None else environ
        given: dict[str, Any] = {}
        for name, variable in _VARIABLES.items():
            text = variables.get(variable)
            if name in changes:
                continue
            if text:
                given[name] = _from_text(name, variable, text)
            elif name in {"host", "password"}:
                raise ConfigurationError(f"the environment variable {variable} is not set")
        return cls(**given, **changes)


_VARIABLES = {
    "host": "MAILSTORE_HOST",
    "port": "MAILSTORE_PORT",
    "username": "MAILSTORE_USERNAME",
    "password": "MAILSTORE_PASSWORD",
    "fingerprint": "MAILSTORE_FINGERPRINT",
    "verify": "MAILSTORE_CA_FILE",
}


def _from_text(name: str, variable: str, text: str) -> object:
    try:
        return _CHECKS[name](int(text) if name == "port" and _PORT.fullmatch(text) else text)
    except ConfigurationError as error:
        raise ConfigurationError(f"the environment variable {variable}: {error.message}", hint=error.hint) from None


_PORT = re.compile(r"[0-9]{1,5}")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")


def _host(host: object) -> str:
    """Return a host that can be nothing but a host: no port, path, user or control character."""
    if not isinstance(host, str) or not host:
        raise ConfigurationError("host must be a host name or an IP address")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") and ":" in host else host
    address = _address(bare)
    if address is None:
        return _host_name(host)
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        # The name of the network interface behind the percent sign may be any text.
        raise ConfigurationError("host must be an address without the name of an interface")
    return str(address)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _host_name(host: str) -> str:
    name = _ascii(host)
    if len(name) > 253 or not _HOST_NAME.fullmatch(name):
        # What has an @ may be an address with a login in front, which is not to be repeated.
        seen = "" if "@" in host else f", not {host!r}"
        raise ConfigurationError(
            f"host must be a host name or an IP address{seen}",
            hint="without https://, port and path; the port is an argument of its own",
        )
    return name


def _ascii(host: str) -> str:
    try:
        return host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        return ""


def _port(port: object) -> int:
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
        raise ConfigurationError(f"port must be a number from 1 to 65535, not {port!r}")
    return port


def _username(username: object) -> str:
    if not isinstance(username, str) or not username or ":" in username or not username.isprintable():
        raise ConfigurationError("username must be a text without colon and control characters")
    return username


def _password(password: object) -> Password:
    if callable(password):
        return cast("Callable[[], str]", password)
    text = password.get_secret_value() if isinstance(password, SecretStr) else password
    if not isinstance(text, str):
        raise ConfigurationError("password must be a text or a function that returns one")
    if any("\ud800" <= character <= "\udfff" for character in text):
        # Python puts such halves in the place of bytes that are no UTF-8, in environment variables for one.
        raise ConfigurationError("password has characters that cannot be sent: it was not decoded as UTF-8")
    return SecretStr(text)


def _check_count(name: str, value: object) -> None:
    # The bound is far beyond any use; the pool makes a place for each connection in advance.
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10_000:
        raise ConfigurationError(f"{name} must be a whole number from 1 to 10000, not {value!r}")


def checked_seconds(name: str, value: object, *, zero: bool = False, most: float = _FOR_EVER) -> float:
    """Return a number of seconds.

    Args:
        name: What the number is, for the error.
        value: The number.
        zero: Whether 0 is allowed, too.
        most: The largest number allowed.

    Raises:
        ConfigurationError: It is no number, or outside of the limits.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and (0 < value <= most or (zero and value == 0)):
        return float(value)
    least = "from" if zero else "above"
    raise ConfigurationError(f"{name} must be a number of seconds {least} 0 up to {most:.0f}, not {value!r}")


def timeout_pair(timeout: Timeout) -> tuple[float, float]:
    """Return (seconds to connect, seconds to wait for an answer), checked."""
    pair: tuple[object, ...] = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    if len(pair) != 2:
        raise ConfigurationError("timeout must be a number of seconds, or two: to connect and to wait for the answer")
    return checked_seconds("timeout", pair[0]), checked_seconds("timeout", pair[1])


def _verify(verify: object) -> Verify:
    if isinstance(verify, bool | ssl.SSLContext):
        return verify
    if not isinstance(verify, str | Path) or not str(verify):
        raise ConfigurationError("verify must be True, False, 'system', the path of a CA file, or an ssl.SSLContext")
    if verify != "system" and not _exists(Path(verify)):
        raise ConfigurationError(f"verify: there is no CA file {str(verify)!r}")
    return str(verify)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long, a directory that may not be entered
        return False


def _fingerprint(fingerprint: object) -> str | None:
    return None if fingerprint is None else normal_fingerprint(fingerprint)


def normal_fingerprint(text: object) -> str:
    """Return a SHA-256 fingerprint in the one form that this package prints: ``sha256:9F:86:…``.

    Blanks, colons, letter case and what openssl writes in front do not matter.

    Raises:
        ConfigurationError: It is no SHA-256 fingerprint; SHA-1 and MD5 can be forged and are refused.
    """
    algorithm, digits = _split_fingerprint(text) if isinstance(text, str) else ("", "")
    if algorithm in {"", "SHA256"} and re.fullmatch(r"[0-9A-F]{64}", digits):
        return "sha256:" + ":".join(digits[i : i + 2] for i in range(0, 64, 2))
    weak = algorithm if algorithm in {"SHA1", "MD5"} else {32: "MD5", 40: "SHA1"}.get(len(digits))
    if weak is not None:
        raise ConfigurationError(f"fingerprint: one made by {weak} can be forged; pin that of SHA-256")
    raise ConfigurationError("fingerprint must be the SHA-256 of the certificate: 64 hex digits")


def _split_fingerprint(text: str) -> tuple[str, str]:
    """Return the algorithm, where it is named, and the digits."""
    # Windows puts an invisible left-to-right mark in front when one is copied from its dialogue.
    found = re.fullmatch(r"[\s\u200e]*((?:sha|md)-?\d+(?=[\s:=]))?(?:\s*fingerprint)?[\s:=]*(.*)", text, _LOOSELY)
    if found is None:
        return "", ""
    return (found[1] or "").replace("-", "").upper(), re.sub(r"[\s:\u200e-]", "", found[2]).upper()


_LOOSELY = re.IGNORECASE | re.DOTALL

_CHECKS: dict[str, Callable[[Any], object]] = {
    "host": _host,
    "port": _port,
    "username": _username,
    "password": _password,
    "fingerprint": _fingerprint,
    "verify": _verify,
    "timeout": timeout_pair,
}
"""What makes a setting sound and normal, for those that need it, in the order of the checks."""
