"""Form fields to requests: the inverse of what the client sends, and as strict as the server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstore import models
from mailstore._protocol import form_fields
from mailstore.compatibility import request_types
from mailstore.models.base import Request
from mailstore.models.protocol import ArgumentType, CancelAsync, GetStatus
from mailstore.sandbox import Behaviour, Failed
from mailstore.sandbox.arguments import arguments_of, described, read, shown

API = json.loads((Path(__file__).parent.parent / "data" / "api.json").read_text(encoding="utf-8"))


def _refusal(request_type: type[Request[Any]], fields: Mapping[str, str], behaviour: Behaviour | None = None) -> Failed:
    with pytest.raises(Failed) as caught:
        read(request_type, fields, behaviour)
    return caught.value


# ------------------------------------------------------------------------------ inverse of the client

words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)
items = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters=","), min_size=1)
identifiers = st.integers(1, 2**31)
moments = st.datetimes().map(lambda moment: moment.replace(microsecond=0))


def _json(depth: int = 3) -> st.SearchStrategy[Any]:
    scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | words
    return st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(words, inner), max_leaves=depth)


def _made(request_type: type[Request[Any]], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Request[Any]]:
    # Not st.builds, which guesses further arguments from the signature.
    return st.fixed_dictionaries(fields).map(lambda values: request_type(**values))


@given(
    _made(models.GetUserInfo, user_name=words)
    | _made(
        models.CreateUser,
        user_name=words,
        privileges=st.just("none") | st.lists(st.sampled_from(["login", "archive", "export"])),
        full_name=st.none() | st.text(),
        password=st.none() | st.text(),
        authentication=st.none() | st.sampled_from(["integrated", "directoryServices"]),
    )
    | _made(models.SetUserEmailAddresses, user_name=words, email_addresses=st.none() | st.lists(items))
    | _made(models.VerifyStore, id=identifiers, include_indexes=st.booleans())
    | _made(models.SetJobEnabled, id=identifiers, enabled=st.booleans())
    | _made(models.DeleteJob, id=identifiers)
    | _made(
        models.CreateJob,
        name=words,
        action=words,
        owner=words,
        time_zone_id=st.just("$Local"),
        time=st.times(),
        day_of_month=st.none() | st.integers(1, 31) | st.just("Last"),
    )
    | _made(models.CreateJob, name=words, action=words, owner=words, time_zone_id=st.just("$Local"), date=moments)
    | _made(models.SetSmtpSettings, settings=st.dictionaries(words, _json()))
    | _made(models.SetStoreAutoCreateConfiguration, config=st.dictionaries(words, _json()))
    | _made(GetStatus, token=words, last_known_status_version=st.integers(-1, 99), milliseconds_timeout=identifiers)
)
def test_what_the_client_sends_is_read_as_it_was(request: Request[Any]) -> None:
    assert read(type(request), form_fields(request)) == request


@pytest.mark.parametrize(
    "request_type", [*request_types(), GetStatus, CancelAsync], ids=lambda each: str(each.function)
)
def test_the_kinds_of_arguments_are_those_of_the_api(request_type: type[Request[Any]]) -> None:
    known = next(function for function in API["functions"] if function["name"] == request_type.function)
    declared = {argument["name"]: argument for argument in known["arguments"]}
    assert {argument.name for argument in arguments_of(request_type)} == declared.keys()
    for argument in arguments_of(request_type):
        # Declared as a text by the server, but the text is a number.
        kind = (
            "number"
            if (request_type.function, argument.name) == ("DeleteJob", "id")
            else declared[argument.name]["type"]
        )
        assert argument.kind.value == kind
        assert argument.required or declared[argument.name]["nullable"]
    entry: Any = described(request_type)
    assert {argument["name"]: argument for argument in entry["args"]} == {
        name: {"name": name, "type": argument["type"], "nullable": argument["nullable"]}
        for name, argument in declared.items()
    }


# ------------------------------------------------------------------------------ strictness


def test_a_missing_argument_is_named() -> None:
    assert _refusal(models.GetUserInfo, {}).message == "Missing API argument userName."
    assert _refusal(models.VerifyStore, {"id": "1"}).message == "Missing API argument includeIndexes."
    assert _refusal(GetStatus, {}).message == "Missing API argument token."
    assert _refusal(models.GetProfiles, {}).message == "Missing API argument raw."


@pytest.mark.parametrize("missing", ["lastKnownStatusVersion", "millisecondsTimeout"])
def test_a_missing_number_of_a_poll_is_not_named(missing: str) -> None:
    fields = {"token": "x", "lastKnownStatusVersion": "1", "millisecondsTimeout": "1"}
    del fields[missing]
    assert _refusal(GetStatus, fields).message == "Nullable object must have a value."


def test_defaults_of_the_client_are_no_demands_of_the_server() -> None:
    assert read(models.GetStores, {}) == models.GetStores()
    assert read(models.SyncUsersWithDirectoryServices, {}) == models.SyncUsersWithDirectoryServices()


@pytest.mark.parametrize("text", ["True", "False", "TRUE", "1", "0", "", " true", "yes"])
def test_booleans_are_lower_case(text: str) -> None:
    failed = _refusal(models.VerifyStore, {"id": "1", "includeIndexes": text})
    assert failed.message == "String was not recognized as a valid Boolean."


@pytest.mark.parametrize("text", ["", " 1", "1.0", "1e3", "0x1", "one", "1_000", "٣", "+-1", "--1"])
def test_numbers_are_digits(text: str) -> None:
    failed = _refusal(models.DetachStore, {"id": text})
    assert failed.message == "Input string was not in a correct format."


@pytest.mark.parametrize("text", ["9" * 19, "9" * 5000, "-9223372036854775809"])
def test_numbers_have_an_end(text: str) -> None:
    assert "too large or too small" in _refusal(models.DetachStore, {"id": text}).message


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T23:59:59Z",
        "2026-01-31T23:59:59.000",
        "2026-01-31T23:59:59+01:00",
        "2026-01-31 23:59:59",
        "01/31/2026 23:59:59",
        "31.01.2026 23:59:59",
        "2026-02-30T00:00:00",
        "2026-01-31",
        "",
    ],
)
def test_dates_have_one_form(text: str) -> None:
    fields = {"fromIncluding": "2026-01-01T00:00:00", "toExcluding": text, "timeZoneId": "$Local"}
    assert _refusal(models.GetJobResults, fields).message == "String was not recognized as a valid DateTime."


def test_times_have_one_form() -> None:
    fields = {"id": "1", "timeZoneId": "$Local", "time": "3 am"}
    assert _refusal(models.SetJobSchedule, fields).message == "String was not recognized as a valid DateTime."
    assert read(models.SetJobSchedule, {**fields, "time": "03:30"}).time == time(3, 30)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Japan"])
def test_time_zones_are_those_of_windows(zone: str) -> None:
    fields = {"fromIncluding": "2026-01-01T00:00:00", "toExcluding": "2026-01-02T00:00:00", "timeZoneId": zone}
    assert _refusal(models.GetJobResults, fields).message == (
        f"The time zone ID '{zone}' was not found on the local computer."
    )


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "[NaN]", '"\\ud800"', "[" * 500, "nothing"])
def test_json_is_json(text: str) -> None:
    assert _refusal(models.SetSmtpSettings, {"settings": text}).message == "API argument settings is no valid JSON."


@pytest.mark.parametrize("text", ["1", "[]", "null", '"text"'])
def test_json_is_an_object_where_one_is_wanted(text: str) -> None:
    assert "out of the range of valid values" in _refusal(models.SetSmtpSettings, {"settings": text}).message


@pytest.mark.parametrize(
    ("request_type", "fields", "name"),
    [
        (models.CreateUser, {"userName": "bob", "privileges": "boss"}, "privileges"),
        (models.CreateUser, {"userName": "bob", "privileges": "none,login"}, "privileges"),
        (models.CreateUser, {"userName": "", "privileges": "none"}, "userName"),
        (models.SetUserAuthentication, {"userName": "bob", "authentication": "Integrated"}, "authentication"),
        (models.SetStoreRequestedState, {"id": "1", "requestedState": "open"}, "requestedState"),
        (models.GetProfiles, {"raw": "false"}, "raw"),
        (
            models.GetWorkerResults,
            {
                "fromIncluding": "2026-01-01T00:00:00",
                "toExcluding": "2026-01-02T00:00:00",
                "timeZoneID": "$Local",
                "profileID": "0",
            },
            "profileID",
        ),
    ],
)
def test_values_beyond_the_known_ones_are_refused(
    request_type: type[Request[Any]], fields: dict[str, str], name: str
) -> None:
    failed = _refusal(request_type, fields)
    assert failed.message == f"Specified argument was out of the range of valid values.\r\nParameter name: {name}"
    details = failed.details("F").split("\r\n")
    assert details[0] == "System.ArgumentOutOfRangeException: Specified argument was out of the range of valid values."
    assert len(details) > 4


def test_rules_about_several_arguments_speak_for_themselves() -> None:
    fields = {"id": "1", "timeZoneId": "$Local", "time": "03:30", "interval": "5"}
    assert "exactly one of" in _refusal(models.SetJobSchedule, fields).message


@pytest.mark.parametrize(
    ("text", "privileges"), [("none", ("none",)), ("", ("none",)), ("login,archive", ("login", "archive"))]
)
def test_an_empty_list_has_two_spellings(text: str, privileges: tuple[str, ...]) -> None:
    assert read(models.SetUserPrivileges, {"userName": "bob", "privileges": text}).privileges == privileges
    assert read(models.SetUserEmailAddresses, {"userName": "bob", "emailAddresses": ""}).email_addresses == ()


def test_unknown_arguments_are_ignored_or_refused() -> None:
    fields = {"userName": "bob", "instanceID": "x"}
    assert read(models.GetUserInfo, fields) == models.GetUserInfo(user_name="bob")
    failed = _refusal(models.GetUserInfo, fields, Behaviour(unknown_arguments="refused"))
    assert failed.message == "Unknown API argument instanceID."


def test_the_case_of_names_matters_unless_switched_off() -> None:
    assert _refusal(models.GetUserInfo, {"username": "bob"}).message == "Missing API argument userName."
    request = read(models.GetUserInfo, {"username": "bob"}, Behaviour(ignore_case=True))
    assert request == models.GetUserInfo(user_name="bob")


def test_a_refusal_tells_no_secret() -> None:
    failed = _refusal(models.CreateUser, {"userName": "bob", "privileges": "boss", "password": "hunter2!"})
    assert "hunter2!" not in failed.details("CreateUser") + failed.message
    assert failed.__context__ is None


# ------------------------------------------------------------------------------ the journal


def test_the_journal_shows_no_secret() -> None:
    fields = {
        "userName": "bob",
        "password": "hunter2!",
        "config": '{"host": "x", "deep": [{"password": "hunter2!"}]}',
        "broken": '{"password": "hunter2!"',
    }
    for request_type in (models.CreateUser, None):
        journal = shown(request_type, fields)
        assert "hunter2!" not in str(journal)
        assert journal["userName"] == "bob"
        assert json.loads(journal["config"])["host"] == "x"
    assert shown(models.UnlockStore, {"passphrase": "abc"}) == {"passphrase": "**********"}


def test_every_kind_is_used() -> None:
    kinds = {argument.kind for request_type in request_types() for argument in arguments_of(request_type)}
    assert kinds == set(ArgumentType)
