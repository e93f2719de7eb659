"""Time zones as the API names them, and what lies between them and Python's.

The API wants the Windows name of a zone (``W. Europe Standard Time``) or ``$Local``,
the zone of the server's operating system. Python knows zones by their IANA names. The
table between the two is the Unicode consortium's, taken from the package ``tzlocal``
(extra ``tz``); Windows names, ``UTC`` and ``$Local`` need no table.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import cast
from zoneinfo import ZoneInfo, available_timezones

LOCAL = "$Local"
"""The zone of the server's operating system, whichever it is."""

_UTC = "UTC"
"""The one name that Windows and IANA share."""

_MISSING_TABLE = "needs the table of the package tzlocal: pip install 'mailstore[tz]'"


def windows_id(zone: str | ZoneInfo) -> str:
    """Return the name that the API understands for a zone.

    A name that IANA does not have is taken for a Windows name; the server knows which there are.

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
    if name == _UTC or not (isinstance(zone, ZoneInfo) or _is_iana(name)):
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
        name = zone if zone == _UTC or _is_iana(zone) else _tables()[1][zone]
    except KeyError:
        raise ValueError(f"{zone!r} is not a time zone that is known here") from None
    except ImportError:
        raise ValueError(f"the Windows name {zone!r} {_MISSING_TABLE}") from None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a folder of the database is an OSError, "../x" a ValueError
        raise ValueError(f"there is no time zone data for {name!r}: misspelt, or pip install tzdata") from None


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
    return _converted(value, target).replace(tzinfo=None)


def to_local_window(start: datetime, end: datetime, zone: str) -> tuple[datetime, datetime]:
    """Return both ends of a period on the clock of a zone, as naive datetimes.

    In autumn the clock shows one hour twice, and nobody knows which of the two the server
    takes such a time for. Where an aware end lies in that hour and the wrong guess would
    lose rows, the end is moved outwards by an hour: more rows than asked for, never less.

    Args:
        start: Beginning of the period, naive in the zone or aware.
        end: End of the period, naive in the zone or aware.
        zone: Name of the zone.

    Raises:
        ValueError: The period is empty, or an end is aware and the zone cannot be known here.
    """
    local_start, local_end = to_local(start, zone), to_local(end, zone)
    if start.tzinfo is not None and end.tzinfo is not None:
        # As instants: the clock may be set back in between, and Python compares by the clock within one zone.
        is_empty = _converted(start, UTC) >= _converted(end, UTC)
    else:
        is_empty = local_start >= local_end
    if is_empty:
        raise ValueError("from_including must be before to_excluding")
    if start.tzinfo is not None and local_start.fold == 0:
        local_start -= _shown_twice(local_start, zone)
    if end.tzinfo is not None and local_end.fold == 1:
        local_end += _shown_twice(local_end, zone)
    return local_start, local_end


def attach(value: datetime, zone: str | ZoneInfo) -> datetime:
    """Return a naive clock time of a zone as an aware datetime; an aware one is converted."""
    target = zone_of(zone)
    return value.replace(tzinfo=target) if value.tzinfo is None else _converted(value, target)


def _converted(value: datetime, zone: tzinfo) -> datetime:
    try:
        return value.astimezone(zone)
    except OverflowError:
        raise ValueError("a datetime is beyond the years 1 to 9999 once it is converted to another zone") from None


def _shown_twice(local: datetime, zone: str) -> timedelta:
    """Return by how much the clock is set back at this time, which it then shows twice; usually not at all."""
    first = local.replace(tzinfo=zone_of(zone), fold=0).utcoffset()
    second = local.replace(tzinfo=zone_of(zone), fold=1).utcoffset()
    # In spring, times that the clock leaves out have two offsets as well, the other way round.
    return max(first - second, timedelta(0)) if first is not None and second is not None else timedelta(0)


@cache
def _iana_names() -> frozenset[str]:
    return frozenset(available_timezones())


def _is_iana(name: str) -> bool:
    # Windows names have no slash, and most have blanks, which IANA's never have; the few without
    # either, such as "Japan" and "UTC-02", are looked up.
    return " " not in name and ("/" in name or name in _iana_names())


@cache
def _tables() -> tuple[dict[str, str], dict[str, str]]:
    from tzlocal.windows_tz import tz_win, win_tz

    return tz_win, win_tz
