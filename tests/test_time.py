"""Time zones and dates: what callers may pass, what travels, and what comes back."""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mailstore._protocol import form_fields
from mailstore.errors import ArgumentError
from mailstore.models import (
    CreateJob,
    GetJobResults,
    GetWorkerResults,
    JobResult,
    SetJobSchedule,
    StatusEnvelope,
    WorkerResult,
    zones,
)
from mailstore.models.zones import to_local_window, windows_id, zone_of

BERLIN = ZoneInfo("Europe/Berlin")
W_EUROPE = "W. Europe Standard Time"
NEW_YORK = ZoneInfo("America/New_York")

NAIVE = datetime(2026, 1, 1)
LATER = datetime(2026, 2, 1)

Window = Callable[[Any, Any, Any], GetJobResults | GetWorkerResults]


def job_results(start: Any, end: Any, zone: Any) -> GetJobResults:
    return GetJobResults(from_including=start, to_excluding=end, time_zone_id=zone)


def worker_results(start: Any, end: Any, zone: Any) -> GetWorkerResults:
    return GetWorkerResults(from_including=start, to_excluding=end, time_zone_id=zone)


both = pytest.mark.parametrize("window", [job_results, worker_results])


def sent(request: GetJobResults | GetWorkerResults) -> tuple[str, str]:
    """Return both ends of a period as they travel."""
    fields = form_fields(request)
    return fields["fromIncluding"], fields["toExcluding"]


@pytest.fixture
def without_tzlocal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets the import of tzlocal fail, as it does without the extra ``tz``."""
    monkeypatch.setitem(sys.modules, "tzlocal", None)
    monkeypatch.setitem(sys.modules, "tzlocal.windows_tz", None)
    zones._tables.cache_clear()
    yield
    zones._tables.cache_clear()


# ----------------------------------------------------------------------------------------- zones


@both
@pytest.mark.parametrize(
    ("zone", "travels"),
    [
        (W_EUROPE, W_EUROPE),
        ("$Local", "$Local"),
        ("UTC", "UTC"),
        ("UTC-02", "UTC-02"),
        ("Europe/Berlin", W_EUROPE),
        ("Japan", "Tokyo Standard Time"),
        (BERLIN, W_EUROPE),
        (ZoneInfo("UTC"), "UTC"),
        (ZoneInfo("Asia/Calcutta"), "India Standard Time"),
        ("A Zone of Tomorrow", "A Zone of Tomorrow"),
    ],
)
def test_a_zone_may_be_named_in_four_ways_and_travels_by_its_windows_name(
    window: Window, zone: str | ZoneInfo, travels: str
) -> None:
    request = window(NAIVE, LATER, zone)
    assert request.time_zone_id == travels
    assert travels in form_fields(request).values()


@pytest.mark.parametrize(
    ("zone", "reason"),
    [
        ("Europe/Berln", "Europe/Berln has no Windows time zone"),
        ("Antarctica/Troll", "Antarctica/Troll has no Windows time zone"),
        ("../etc/passwd", "has no Windows time zone"),
        ("", "must name a time zone"),
        ("  ", "must name a time zone"),
        (5, "must be '\\$Local', the name of a time zone, or a zoneinfo.ZoneInfo"),
        (UTC, "must be '\\$Local', the name of a time zone, or a zoneinfo.ZoneInfo"),
        (timezone(timedelta(hours=1)), "must be '\\$Local'"),
    ],
)
def test_what_names_no_zone_is_refused(zone: Any, reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason) as caught:
        job_results(NAIVE, LATER, zone)
    assert caught.value.argument == "time_zone_id"


def test_a_zone_from_a_file_has_no_name() -> None:
    counts = struct.pack(">4sx15x6I", b"TZif", 0, 0, 0, 0, 1, 4)
    nameless = ZoneInfo.from_file(io.BytesIO(counts + struct.pack(">iBB", 0, 0, 0) + b"UTC\0"))
    with pytest.raises(ArgumentError, match="was made from a file"):
        job_results(NAIVE, LATER, nameless)


def test_the_names_of_both_worlds_lead_to_each_other() -> None:
    windows = {windows_id(name) for name in available_timezones() if _has_windows_name(name)}
    assert len(windows) > 130
    for name in windows:
        assert windows_id(zone_of(name)) == name
        assert zone_of(windows_id(zone_of(name))) is zone_of(name)
        assert windows_id(name) == name


def _has_windows_name(name: str) -> bool:
    try:
        return bool(windows_id(name))
    except ValueError:
        return False


@pytest.mark.parametrize("zone", ["Europe/Berln", "America/Argentina", "../etc/passwd", "No Such Zone", "$Local", ""])
def test_a_zone_that_is_not_known_here_is_told_in_words(zone: str) -> None:
    with pytest.raises(ValueError, match=r"not a time zone|no time zone data|not known here") as caught:
        zone_of(zone)
    assert type(caught.value) is ValueError


# --------------------------------------------------------------------------------------- without


def test_without_the_table_windows_names_and_naive_dates_work(without_tzlocal: None) -> None:
    for zone in (W_EUROPE, "$Local", "UTC", ZoneInfo("UTC")):
        assert sent(job_results(NAIVE, LATER, zone)) == ("2026-01-01T00:00:00", "2026-02-01T00:00:00")
    aware = job_results(NAIVE.replace(tzinfo=BERLIN), LATER.replace(tzinfo=UTC), "UTC")
    assert sent(aware) == ("2025-12-31T23:00:00", "2026-02-01T00:00:00")


@pytest.mark.parametrize(
    "request_",
    [
        lambda: job_results(NAIVE, LATER, "Europe/Berlin"),
        lambda: job_results(NAIVE, LATER, BERLIN),
        lambda: job_results(NAIVE.replace(tzinfo=UTC), LATER, W_EUROPE),
        lambda: CreateJob(name="a", action="b", owner="c", time_zone_id=W_EUROPE, date=NAIVE.replace(tzinfo=UTC)),
    ],
)
def test_without_the_table_the_error_names_the_extra(without_tzlocal: None, request_: Callable[[], object]) -> None:
    with pytest.raises(ArgumentError, match=r"pip install 'mailstore\[tz\]'"):
        request_()


# ----------------------------------------------------------------------------------------- dates


@both
def test_naive_dates_and_texts_travel_as_they_are(window: Window) -> None:
    for start, end in ((NAIVE, LATER), ("2026-01-01T00:00:00", "2026-02-01T00:00:00")):
        for zone in ("$Local", W_EUROPE, "Europe/Berlin"):
            assert sent(window(start, end, zone)) == ("2026-01-01T00:00:00", "2026-02-01T00:00:00")


@both
def test_aware_dates_are_converted_to_the_zone_of_the_request(window: Window) -> None:
    start = datetime(2026, 7, 1, 12, tzinfo=NEW_YORK)
    end = datetime(2026, 12, 1, 12, tzinfo=UTC)
    for zone in (W_EUROPE, "Europe/Berlin", BERLIN):
        request = window(start, end, zone)
        assert sent(request) == ("2026-07-01T18:00:00", "2026-12-01T13:00:00")
        for kept in (request.from_including, request.to_excluding):
            assert isinstance(kept, datetime)
            assert kept.tzinfo is None
    assert sent(window(start, end, "UTC")) == ("2026-07-01T16:00:00", "2026-12-01T12:00:00")


@both
@pytest.mark.parametrize("zone", ["$Local", "A Zone of Tomorrow"])
def test_an_aware_date_is_refused_where_the_zone_cannot_be_known(window: Window, zone: str) -> None:
    aware = datetime(2026, 1, 1, tzinfo=UTC)
    for start, end in ((aware, LATER), (NAIVE, aware + timedelta(days=9))):
        with pytest.raises(ArgumentError, match="pass a naive datetime in the server's zone, or name the zone"):
            window(start, end, zone)


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00+01:00", "2026-01-01 00:00:00", "x", ""])
def test_texts_in_another_form_are_refused(text: str) -> None:
    with pytest.raises(ArgumentError, match="2026-01-31T23:59:59 without fraction and zone"):
        job_results(text, LATER, "UTC")


@both
def test_an_empty_period_is_refused(window: Window) -> None:
    aware = NAIVE.replace(tzinfo=UTC)
    for start, end in (
        (NAIVE, NAIVE),
        (LATER, NAIVE),
        ("2026-02-01T00:00:00", NAIVE),
        (aware, aware),
        (aware, aware.astimezone(BERLIN)),
        (aware + timedelta(hours=2), NAIVE + timedelta(hours=1)),
    ):
        with pytest.raises(ArgumentError, match="from_including must be before to_excluding"):
            window(start, end, W_EUROPE)


@pytest.mark.parametrize(
    ("request_type", "rest"), [(CreateJob, {"name": "a", "action": "b", "owner": "c"}), (SetJobSchedule, {"id": 1})]
)
def test_the_date_of_a_job_is_converted_as_well(request_type: Callable[..., Any], rest: dict[str, Any]) -> None:
    date = datetime(2026, 7, 1, 12, tzinfo=UTC)
    request = request_type(time_zone_id="Europe/Berlin", date=date, **rest)
    assert form_fields(request)["date"] == "2026-07-01T14:00:00"
    with pytest.raises(ArgumentError, match="or name the zone"):
        request_type(time_zone_id="$Local", date=date, **rest)


@pytest.mark.parametrize("year", [1, 9999])
@pytest.mark.parametrize("offset", [-14, 14])
def test_dates_at_the_ends_of_time_are_typed_errors_or_travel(year: int, offset: int) -> None:
    zone = timezone(timedelta(hours=offset))
    edge = datetime(1, 1, 1, tzinfo=zone) if year == 1 else datetime(9999, 12, 31, 23, 59, 59, tzinfo=zone)
    outcomes: set[str] = set()
    for start, end in ((edge, LATER), (NAIVE, edge), (edge, edge)):
        for name in ("UTC", W_EUROPE, "Hawaiian Standard Time"):
            try:
                job_results(start, end, name)
            except ArgumentError as error:
                outcomes.add(error.message)
            else:
                outcomes.add("it travels")
    assert outcomes <= {
        "it travels",
        "a datetime is beyond the years 1 to 9999 once it is converted to another zone.",
        "from_including must be before to_excluding.",
    }


# ------------------------------------------------------------------------ when the clock changes


def test_periods_in_the_night_when_the_clock_is_set_back_are_not_refused() -> None:
    """Between 02:00 and 03:00, which Berlin's clock shows twice on 25 October 2026, nothing is lost."""
    summer, winter = timezone(timedelta(hours=2)), timezone(timedelta(hours=1))
    half_past = datetime(2026, 10, 25, 2, 30)
    one_hour = job_results(half_past.replace(tzinfo=summer), half_past.replace(tzinfo=winter), W_EUROPE)
    assert sent(one_hour) == ("2026-10-25T01:30:00", "2026-10-25T03:30:00")
    backwards_on_the_clock = job_results(
        datetime(2026, 10, 25, 2, 45, tzinfo=BERLIN), datetime(2026, 10, 25, 2, 15, tzinfo=BERLIN, fold=1), BERLIN
    )
    assert sent(backwards_on_the_clock) == ("2026-10-25T01:45:00", "2026-10-25T03:15:00")
    with pytest.raises(ArgumentError, match="before"):
        job_results(half_past.replace(tzinfo=winter), half_past.replace(tzinfo=summer), W_EUROPE)


def test_an_end_whose_wrong_reading_would_lose_nothing_stays() -> None:
    first, second = (datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=fold) for fold in (0, 1))
    day = timedelta(days=1)
    assert sent(job_results(first - day, first, BERLIN)) == ("2026-10-24T02:30:00", "2026-10-25T02:30:00")
    assert sent(job_results(second, second + day, BERLIN)) == ("2026-10-25T02:30:00", "2026-10-26T02:30:00")
    assert sent(job_results(datetime(2026, 10, 25, 2, 30), datetime(2026, 10, 25, 2, 45), BERLIN)) == (
        "2026-10-25T02:30:00",
        "2026-10-25T02:45:00",
    ), "who passes naive datetimes speaks of the clock"


instants = st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
changes = ["2026-03-29", "2026-10-25", "2025-10-26", "2026-11-01", "2026-03-08", "2026-04-04"]
around_changes = st.sampled_from(changes).flatmap(
    lambda day: st.datetimes(
        datetime.fromisoformat(f"{day}T00:00:00"), datetime.fromisoformat(f"{day}T10:00:00"), timezones=st.just(UTC)
    )
)
some_zones = st.sampled_from(
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/St_Johns", "UTC"]
)


@hypothesis_settings(deadline=None, max_examples=300)
@given(start=instants | around_changes, end=instants | around_changes, zone=some_zones, asked=some_zones)
@example(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "Europe/Berlin", "UTC")
def test_a_period_of_aware_dates_covers_what_was_asked_for_however_the_server_reads_it(
    start: datetime, end: datetime, zone: str, asked: str
) -> None:
    """Neither reading of an hour that is shown twice makes the period shorter, nor longer than by twice that hour."""
    start, end = (value.replace(microsecond=0).astimezone(ZoneInfo(asked)) for value in (start, end))
    if start.timestamp() >= end.timestamp():
        with pytest.raises(ValueError, match="before"):
            to_local_window(start, end, zone)
        return
    local_start, local_end = to_local_window(start, end, zone)
    assert local_start < local_end
    readings = [
        [value.replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() for fold in (0, 1)]
        for value in (local_start, local_end)
    ]
    assert max(readings[0]) <= start.timestamp()
    assert min(readings[1]) >= end.timestamp()
    assert min(readings[0]) >= start.timestamp() - 2 * 3600
    assert max(readings[1]) <= end.timestamp() + 2 * 3600


# --------------------------------------------------------------------------------------- results

JOB_RESULT = {
    "jobResultId": 1,
    "jobId": 2,
    "action": "VerifyStores",
    "startTime": "2026-07-02T03:30:04",
    "completeTime": "2026-07-02T03:31:00",
    "result": "succeeded",
}
WORKER_RESULT = {
    "id": 1,
    "profileId": 13,
    "profileName": "Mailbox",
    "userName": "admin",
    "result": "succeeded",
    "itemsArchived": 3,
    "startTime": "2026-07-02T03:30:04",
    "completeTime": "2026-07-02T03:31:00",
    "machineName": "MAILSTORE",
}
RECORDS: list[tuple[type[JobResult] | type[WorkerResult], dict[str, Any]]] = [
    (JobResult, JOB_RESULT),
    (WorkerResult, WORKER_RESULT),
]


@pytest.mark.parametrize(("kind", "record"), RECORDS)
@pytest.mark.parametrize("zone", [W_EUROPE, "Europe/Berlin", BERLIN])
def test_results_can_be_had_as_aware_datetimes(
    kind: type[JobResult] | type[WorkerResult], record: dict[str, Any], zone: str | ZoneInfo
) -> None:
    naive = kind.model_validate(record)
    assert naive.start_time.tzinfo is None
    aware = naive.in_zone(zone)
    assert aware.start_time == datetime(2026, 7, 2, 1, 30, 4, tzinfo=UTC)
    assert aware.complete_time == datetime(2026, 7, 2, 1, 31, tzinfo=UTC)
    assert aware.start_time.tzinfo is BERLIN
    assert naive.start_time.tzinfo is None, "the record itself stays as it came"
    assert aware.model_dump(mode="json") == record, "what is dumped is still what the server sent"
    assert aware.in_zone("UTC").start_time == aware.start_time


@pytest.mark.parametrize(("kind", "record"), RECORDS)
def test_a_run_that_is_not_complete_has_no_end_in_any_zone(
    kind: type[JobResult] | type[WorkerResult], record: dict[str, Any]
) -> None:
    unfinished = {name: value for name, value in record.items() if name != "completeTime"}
    aware = kind.model_validate(unfinished).in_zone("UTC")
    assert aware.complete_time is None
    assert "completeTime" not in aware


def test_results_in_the_servers_own_zone_cannot_be_aware() -> None:
    run = JobResult.model_validate(JOB_RESULT)
    with pytest.raises(ValueError, match="zone of the server, which is not known here"):
        run.in_zone("$Local")


@pytest.mark.parametrize(
    ("start", "complete", "minutes"),
    [
        ("2026-10-25T01:50:00", "2026-10-25T03:10:00", 140),
        ("2026-10-25T02:10:00", "2026-10-25T02:50:00", 40),
        ("2026-10-25T02:50:00", "2026-10-25T02:10:00", 20),
        ("2026-03-29T01:50:00", "2026-03-29T03:10:00", 20),
    ],
)
def test_a_run_over_a_change_of_the_clock_ends_after_it_began(start: str, complete: str, minutes: int) -> None:
    run = JobResult.model_validate(JOB_RESULT | {"startTime": start, "completeTime": complete}).in_zone(BERLIN)
    assert run.complete_time is not None
    assert run.complete_time.timestamp() - run.start_time.timestamp() == minutes * 60


def test_times_that_the_server_tells_in_utc_are_aware_from_the_start() -> None:
    from mailstore.models import JobInfo

    job = {
        "id": 1,
        "name": "Nightly",
        "action": "VerifyStores",
        "owner": "admin",
        "creationDateTimeUtc": "2026-01-02T03:04:05",
        "enabled": True,
        "schedule": {"timeZoneId": "$Local", "time": "03:00:00"},
    }
    envelope = StatusEnvelope[list[JobInfo]].model_validate({"statusCode": "succeeded", "result": [job]})
    info = envelope.result[0]
    assert info.creation_date_time_utc == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert envelope.model_dump(mode="json")["result"] == [job]
