"""How a client reaches its server: address, login, trust, timeouts, repetition."""

from __future__ import annotations

import ipaddress
import math
import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from pydantic import SecretStr

from mailstore.errors import ConfigurationError

if TYPE_CHECKING:
    from typing import Self

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
        if self.attempts < 1:
            raise ConfigurationError(f"RetryPolicy.attempts must be at least 1, not {self.attempts}")
        for name in ("first_pause", "longest_pause", "poll_patience"):
            _seconds(f"RetryPolicy.{name}", getattr(self, name), zero=True)

    def pause(self, attempt: int, random: Callable[[], float], asked: float | None = None) -> float:
        """Return the seconds to wait after a failed attempt.

        Args:
            attempt: Number of the attempt that failed, from 1.
            random: Returns a number from 0 to 1.
            asked: Seconds that the server asked for, if it did.
        """
        full = min(self.first_pause * 2.0 ** min(attempt - 1, 30), self.longest_pause)
        return max(full * (0.5 + random() / 2), min(asked or 0.0, self.longest_pause))


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
        _set(self, "host", _host(self.host))
        _set(self, "port", _port(self.port))
        if not self.username or ":" in self.username or not self.username.isprintable():
            raise ConfigurationError("username must be a text without colon and control characters")
        if not isinstance(self.password, str | SecretStr) and not callable(self.password):
            raise ConfigurationError("password must be a text or a function that returns one")
        if isinstance(self.password, str):
            _set(self, "password", SecretStr(self.password))
        _set(self, "fingerprint", normal_fingerprint(self.fingerprint) if self.fingerprint is not None else None)
        if self.fingerprint is not None and self.verify is False:
            raise ConfigurationError(
                "fingerprint and verify=False contradict each other: one pins the certificate, the other accepts any",
                hint="leave verify out, the fingerprint alone accepts a self-signed certificate",
            )
        _set(self, "verify", _verify(self.verify))
        _set(self, "timeout", timeout_pair(self.timeout))
        _seconds("poll_wait", self.poll_wait, zero=True)
        if self.deadline is not None:
            _seconds("deadline", self.deadline)
        if self.max_connections < 1:
            raise ConfigurationError(f"max_connections must be at least 1, not {self.max_connections}")

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
            ConfigurationError: The function did not return a text.
        """
        if isinstance(self.password, SecretStr):
            return self.password.get_secret_value()
        if isinstance(self.password, str):
            return self.password
        fetched = cast("object", self.password())
        if not isinstance(fetched, str):
            raise ConfigurationError("the password function must return a text")
        return fetched

    def changed(self, **changes: Any) -> Self:
        """Return a copy with other values, checked again."""
        unknown = changes.keys() - {known.name for known in fields(self)}
        if unknown:
            raise ConfigurationError(f"unknown settings: {', '.join(sorted(unknown))}")
        return replace(self, **changes)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **changes: Any) -> Self:
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
        given: dict[str, Any] = {
            name: value
            for name, variable in _VARIABLES.items()
            if name not in changes and (value := variables.get(variable))
        }
        if "port" in given:
            if not (given["port"].isascii() and given["port"].isdigit()):
                raise ConfigurationError("MAILSTORE_PORT must be a number")
            given["port"] = int(given["port"])
        for name in ("host", "password"):
            if name not in given and name not in changes:
                raise ConfigurationError(f"the environment variable {_VARIABLES[name]} is not set")
        return cls(**given, **changes)


_VARIABLES = {
    "host": "MAILSTORE_HOST",
    "port": "MAILSTORE_PORT",
    "username": "MAILSTORE_USERNAME",
    "password": "MAILSTORE_PASSWORD",
    "fingerprint": "MAILSTORE_FINGERPRINT",
    "verify": "MAILSTORE_CA_FILE",
}


def _set(settings: Settings, name: str, value: object) -> None:
    object.__setattr__(settings, name, value)


_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?")


def _host(host: object) -> str:
    """Return a host that can be nothing but a host: no port, path, user or control character."""
    if not isinstance(host, str) or not host:
        raise ConfigurationError("host must be a host name or an IP address")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass  # a name then, checked below
    try:
        name = bare if bare.isascii() else bare.encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    if len(name) > 253 or not _HOST_NAME.fullmatch(name):
        raise ConfigurationError(
            f"host must be a host name or an IP address, not {host!r}",
            hint="without https://, port and path; the port is an argument of its own",
        )
    return name


def _port(port: object) -> int:
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
        raise ConfigurationError(f"port must be a number from 1 to 65535, not {port!r}")
    return port


def _seconds(name: str, value: object, *, zero: bool = False) -> float:
    valid = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not valid or not isinstance(value, int | float) or value < 0 or (value == 0 and not zero):
        raise ConfigurationError(f"{name} must be a number of seconds {'from' if zero else 'above'} 0, not {value!r}")
    return float(value)


def timeout_pair(timeout: Timeout) -> tuple[float, float]:
    """Return (seconds to connect, seconds to wait for an answer), checked."""
    connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    return _seconds("timeout", connect), _seconds("timeout", read)


def _verify(verify: object) -> Verify:
    if isinstance(verify, bool | ssl.SSLContext):
        return verify
    if not isinstance(verify, str | Path) or not str(verify):
        raise ConfigurationError("verify must be True, False, 'system', the path of a CA file, or an ssl.SSLContext")
    if verify != "system" and not Path(verify).exists():
        raise ConfigurationError(f"there is no CA file {str(verify)!r}")
    return str(verify)


def normal_fingerprint(text: object) -> str:
    """Return a SHA-256 fingerprint in the one form that this package prints: ``sha256:9F:86:…``.

    Blanks, colons, letter case and the leading ``sha256:`` do not matter.

    Raises:
        ConfigurationError: It is no SHA-256 fingerprint; SHA-1 and MD5 can be forged and are refused.
    """
    raw = text if isinstance(text, str) else ""
    digits = re.sub(r"[\s:-]", "", re.sub(r"^sha-?256[:=\s]", "", raw.strip(), flags=re.IGNORECASE)).upper()
    if re.fullmatch(r"[0-9A-F]{64}", digits):
        return "sha256:" + ":".join(digits[i : i + 2] for i in range(0, 64, 2))
    weak = {32: "MD5", 40: "SHA-1"}.get(len(digits))
    if weak is not None:
        raise ConfigurationError(f"a {weak} fingerprint can be forged; pin the SHA-256 fingerprint")
    raise ConfigurationError("fingerprint must be the SHA-256 of the certificate: 64 hex digits")
