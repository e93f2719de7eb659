"""Time zones as the API names them, and what lies between them and Python's.

The API wants the Windows name of a zone (``W. Europe Standard Time``) or ``$Local``,
the zone of the server's operating system. Python knows zones by their IANA names. The
table between the two is the Unicode consortium's, taken from the package ``tzlocal``
(extra ``tz``); Windows names and ``$Local`` need no table.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

LOCAL = "$Local"
"""The zone of the server's operating system, whichever it is."""

_MISSING_TABLE = "needs the table of the package tzlocal: pip install 'mailstore[tz]'"


def windows_id(zone: str | ZoneInfo) -> str:
    """Return the name that the API understands for a zone.

    Args:
        zone: ``$Local``, a Windows name, an IANA name such as ``Europe/Berlin``, or a `ZoneInfo`.

    Raises:
        ValueError: The zone has no Windows name, or the table of names is not installed.

    Example:
        >>> windows_id("Europe/Berlin")
        'W. Europe Standard Time'
    """
    # A zone read from a file has no key, whatever the type says.
    name = cast("str | None", zone.key) if isinstance(zone, ZoneInfo) else zone
    if name is None:
        raise ValueError("this ZoneInfo was made from a file and has no name; pass one made by ZoneInfo(name)")
    if not name.strip():
        raise ValueError("must name a time zone; '$Local' is the zone of the server")
    if name == LOCAL or (not isinstance(zone, ZoneInfo) and not _is_iana(name)):
        return name
    try:
        return _tables()[0][name]
    except KeyError:
        raise ValueError(f"{name} has no Windows time zone; GetTimeZones lists those that the server knows") from None
    except ImportError:
        raise ValueError(f"the IANA name {name} {_MISSING_TABLE}; or pass a Windows name or '$Local'") from None


def zone_of(zone: str | ZoneInfo) -> ZoneInfo:
    """Return the `ZoneInfo` for a zone named in any of the ways of `windows_id`.

    Raises:
        ValueError: The zone cannot be known here: ``$Local`` is the server's secret, a
            Windows name needs the table, and a misspelt name stands for nothing.
    """
    if isinstance(zone, ZoneInfo):
        return zone
    if zone == LOCAL:
        raise ValueError("'$Local' is the zone of the server, which is not known here")
    try:
        return ZoneInfo(zone if _is_iana(zone) or zone == "UTC" else _tables()[1][zone])
    except ZoneInfoNotFoundError:
        raise ValueError(f"this computer has no time zone data for {zone!r}: pip install tzdata") from None
    except KeyError:
        raise ValueError(f"{zone!r} is not a Windows time zone that is known here") from None
    except ImportError:
        raise ValueError(f"the Windows name {zone!r} {_MISSING_TABLE}") from None


def to_local(value: datetime, zone: str) -> datetime:
    """Return the clock time that an aware datetime has in a zone, as a naive datetime.

    A naive value is taken to be in the zone already.

    Raises:
        ValueError: The value is aware and the zone cannot be known here.
    """
    if value.tzinfo is None:
        return value
    try:
        target = zone_of(zone)
    except ValueError as error:
        raise ValueError(
            f"an aware datetime cannot be converted to the zone of the request: {error}; "
            "pass a naive datetime in the server's zone, or name the zone"
        ) from None
    return value.astimezone(target).replace(tzinfo=None)


def attach(value: datetime, zone: str | ZoneInfo) -> datetime:
    """Return a naive clock time of a zone as an aware datetime; an aware one is converted."""
    target = zone_of(zone)
    return value.replace(tzinfo=target) if value.tzinfo is None else value.astimezone(target)


def utc(value: datetime) -> datetime:
    """Return a naive datetime that means UTC as an aware one."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


@cache
def _iana_names() -> frozenset[str]:
    return frozenset(available_timezones())


def _is_iana(name: str) -> bool:
    # Windows names have no slash; the few IANA names without one, such as "Japan", are looked up.
    # "UTC" is a name in both worlds and needs no translation.
    return name != "UTC" and ("/" in name or name in _iana_names())


@cache
def _tables() -> tuple[dict[str, str], dict[str, str]]:
    from tzlocal.windows_tz import tz_win, win_tz

    return tz_win, win_tz
