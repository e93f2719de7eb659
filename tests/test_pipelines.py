"""Requests from JSON lines, outcomes to JSON lines, results to CSV."""

from __future__ import annotations

import csv
import io
import json
import pickle
import subprocess
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from pydantic import JsonValue, Secret, SecretStr, ValidationError

from mailstore import MailStoreServer, errors, models
from mailstore._calls import _unknown_function
from mailstore.compatibility import request_types
from mailstore.models.base import MASK, Request, wire_names
from mailstore.models.protocol import CancelAsync, GetMetadata, GetStatus
from mailstore.outcomes import Outcome
from mailstore.pipelines import (
    LineProblem,
    LinesError,
    load_requests,
    read_requests,
    request_adapter,
    request_line,
    rows,
    write_csv,
    write_json_lines,
)
from mailstore.sandbox import Failed, Registry, Sandbox, World
from tests.test_round_trips import QUICK, requests_of

ALL: list[type[Request[Any]]] = [*request_types(), GetMetadata, GetStatus, CancelAsync]
SECRET = "hunter2-Pä$$wörd"


def problems_of(*lines: str) -> list[tuple[int, str | None, str | None, str]]:
    """Return what is wrong with lines, each problem as a tuple."""
    with pytest.raises(LinesError) as caught:
        load_requests(lines)
    return [(one.line, one.function, one.field, one.reason) for one in caught.value.problems]


def decoded(text: str) -> list[dict[str, JsonValue]]:
    return [json.loads(line) for line in text.splitlines()]


# ------------------------------------------------------------------------------------------ reading


def test_lines_become_requests_in_their_order() -> None:
    lines = [
        '\ufeff{"function": "CreateUser", "userName": "jane.doe", "privileges": ["login"], "fullName": "Jane Doe"}\n',
        "\n",
        '{"id": 3, "function": "VerifyStore", "include_indexes": false}\r\n',
        "   \n",
        '{"function": "GetUsers"}',
    ]
    assert load_requests(lines) == [
        models.CreateUser(user_name="jane.doe", privileges=["login"], full_name="Jane Doe"),
        models.VerifyStore(id=3, include_indexes=False),
        models.GetUsers(),
    ]
    assert list(read_requests(lines)) == load_requests(lines)


def test_one_text_is_a_list_of_lines() -> None:
    text = '{"function": "GetUserInfo", "userName": "a\u2028b"}\n\n{"function": "GetUsers"}\n'
    assert load_requests(text) == [models.GetUserInfo(user_name="a\u2028b"), models.GetUsers()]


@pytest.mark.parametrize("request_type", ALL, ids=lambda kind: kind.function)
def test_each_function_is_found_by_its_name_on_the_wire(request_type: type[Request[Any]]) -> None:
    needed = [field for field in request_type.model_fields.values() if field.is_required()]
    line = json.dumps({"function": request_type.function})
    if needed:
        assert {function for _, function, _, _ in problems_of(line)} == {request_type.function}
    else:
        assert load_requests([line]) == [request_type()]


def test_no_argument_has_the_name_of_the_member_that_names_the_function() -> None:
    assert [kind for kind in ALL if "function" in {*wire_names(kind), *wire_names(kind).values()}] == []


def test_all_problems_of_all_lines_are_told() -> None:
    assert problems_of(
        '{"function": "CreateUser", "user_name": 3, "privilegs": "login"}',
        "",
        '{"function": "VerifyStore", "id": 1}',
        '{"function": "SetUserAuthentication", "userName": "x", "authentication": "integratd"}',
    ) == [
        (1, "CreateUser", "user_name", "Input should be a valid string"),
        (1, "CreateUser", "privileges", "is required"),
        (
            1,
            "CreateUser",
            "privilegs",
            (
                "is not an argument of this function; known: userName, privileges, fullName, distinguishedName, "
                "authentication, password, loginPrivileges"
            ),
        ),
        (
            4,
            "SetUserAuthentication",
            "authentication",
            "must be one of 'integrated', 'directoryServices'",
        ),
    ]


@pytest.mark.parametrize(
    ("line", "function", "field", "reason"),
    [
        ("nope", None, None, "is no JSON: Expecting value (column 1)"),
        ('{"function": ', None, None, "is no JSON: Expecting value (column 13)"),
        ("[1]", None, None, "is no JSON object"),
        ("null", None, None, "is no JSON object"),
        ('{"function": "VerifyStore", "id": NaN}', None, None, "is no JSON: NaN is no number there"),
        ('{"function": "VerifyStore", "id": 1, "id": 2}', None, None, "has the member 'id' twice"),
        ('{"x": ' * 100_000, None, None, "is nested too deeply"),
        ("{}", None, "function", "is required: the name of a function"),
        ('{"function": 3}', None, "function", "must be a text: the name of a function"),
        ('{"function": "CreatUser"}', None, "function", "is not the name of a function; did you mean CreateUser?"),
        ('{"function": "GetStatus"}', None, "function", "is not the name of a function; did you mean get-status?"),
        ('{"function": "Xyzzy"}', None, "function", "is not the name of a function"),
        ('{"function": "UserInfo"}', None, "function", "is not the name of a function; did you mean GetUserInfo?"),
        ('{"function": "Request"}', None, "function", "is not the name of a function"),
        ('{"function": "__dict__"}', None, "function", "is not the name of a function"),
        ('{"function": "VerifyStore", "id": "3"}', "VerifyStore", "id", "Input should be a valid integer"),
        (
            '{"function": "CreateProfile", "properties": {"name": "x", "type": "I", "connector": "IMAP"}}',
            "CreateProfile",
            "properties.details",
            "is required",
        ),
        (
            '{"function": "SetProfileServerSideExecution", "id": 1, "automatic": true}',
            "SetProfileServerSideExecution",
            None,
            "automatic_pause_between_executions, in seconds, is needed when automatic is true",
        ),
    ],
)
def test_a_wrong_line_is_named_with_function_member_and_reason(
    line: str, function: str | None, field: str | None, reason: str
) -> None:
    assert problems_of('{"function": "GetUsers"}', line) == [(2, function, field, reason)]


def test_the_error_tells_source_line_member_and_reason_in_one_line() -> None:
    with pytest.raises(LinesError) as caught:
        load_requests(["", '{"function": "DeleteUser"}', "x"], source="requests.jsonl")

    assert str(caught.value) == (
        "requests.jsonl: line 2: DeleteUser.userName: is required; line 3: is no JSON: Expecting value (column 1)"
    )
    assert caught.value.source == "requests.jsonl"
    assert isinstance(caught.value, errors.ArgumentError | ValueError)
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own
    assert (str(again), again.problems) == (str(caught.value), caught.value.problems)


def test_an_error_with_very_many_problems_stays_readable() -> None:
    with pytest.raises(LinesError) as caught:
        load_requests("{}\n" * 1000)

    assert len(caught.value.problems) == 1000
    assert caught.value.problems[-1] == LineProblem(1000, None, "function", "is required: the name of a function")
    assert str(caught.value).endswith("line 20: function: is required: the name of a function; and 980 more")


def test_reading_as_it_comes_stops_at_the_first_wrong_line() -> None:
    reading = read_requests(['{"function": "GetUsers"}', "", "x", "y"], source="<stdin>")

    assert next(reading) == models.GetUsers()
    with pytest.raises(LinesError, match="<stdin>: line 3: is no JSON") as caught:
        next(reading)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    "line",
    [
        '{"function": "SetUserPassword", "userName": 1, "password": "%s"}',
        '{"function": "SetUserPassword", "userName": "x", "password": ["%s"]}',
        '{"function": "SetUserPassword", "userName": "x", "password": "%s", "more": "%s"}',
        '{"function": "SetUserPasswrd", "userName": "x", "password": "%s"}',
        '{"function": "SetSmtpSettings", "settings": {"password": {"x": "%s"}}}',
        '{"function": "SetSmtpSettings", "settings": ["%s"]}',
        '{"function": "CreateProfile", "properties": {"details": {"password": "%s"}}}',
        '{"function": "UnlockStore", "id": 1, "passphrase": "%s", "passphrase": "%s"}',
        '{"function": "UnlockStore", "passphrase": "%s',
        '{"function": "GetUserInfo", "userName": "x"} "%s"',
    ],
)
def test_no_secret_is_in_an_error_or_its_traceback(line: str) -> None:
    with pytest.raises(LinesError) as caught:
        load_requests([line.replace("%s", SECRET)])

    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    told = "".join([*traceback.format_exception(error), repr(error), repr(error.problems), repr(vars(error))])
    assert SECRET not in told
    assert json.dumps(SECRET)[1:-1] not in told


def test_only_the_models_that_lines_name_are_loaded() -> None:
    program = """
import sys
from mailstore.pipelines import load_requests
load_requests(['{"function": "GetUserInfo", "userName": "x"}'])
print(*sorted(name for name in sys.modules if name.startswith("mailstore.models.")))
"""
    loaded = subprocess.run(  # noqa: S603 - the program above
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, encoding="utf-8"
    ).stdout.split()
    assert "mailstore.models.users" in loaded
    assert not {"mailstore.models.jobs", "mailstore.models.profiles", "mailstore.models.stores"} & {*loaded}


# --------------------------------------------------------------------------------- lines of requests


@pytest.mark.parametrize("request_type", ALL, ids=lambda kind: kind.function)
def test_a_line_read_back_is_the_same_request(request_type: type[Request[Any]]) -> None:
    @QUICK
    @given(requests_of(request_type))
    def holds(request: Request[Any]) -> None:
        line = request_line(request, reveal=True)
        assert "\n" not in line
        assert line.isascii()
        assert load_requests([line]) == [request]

    holds()


def test_a_line_has_the_names_of_the_wire_and_what_was_given() -> None:
    request = models.GetWorkerResults(
        from_including="2026-01-01T00:00:00", to_excluding="2026-02-01T00:00:00", profile_id=3, user_name=None
    )
    assert request_line(request) == (
        '{"function": "GetWorkerResults", "fromIncluding": "2026-01-01T00:00:00", '
        '"toExcluding": "2026-02-01T00:00:00", "profileID": 3}'
    )
    assert request_line(GetMetadata()) == '{"function": "get-metadata"}'


def test_null_is_kept_within_a_json_argument() -> None:
    request = models.SetSmtpSettings(settings={"password": None, "host": None})
    line = json.loads(request_line(request))
    assert line == {"function": "SetSmtpSettings", "settings": {"password": None, "host": None}}


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (models.SetUserPassword(user_name="x", password=SECRET), "password"),
        (models.UnlockStore(id=1, passphrase=SecretStr(SECRET)), "passphrase"),
        (models.SetSmtpSettings(settings={"password": SECRET}), "settings"),
        (models.SetSmtpSettings(settings={"clientSecret": SECRET}), "settings"),
        (models.SetRetentionPolicies(config={"apiKey": SECRET}), "config"),
    ],
)
def test_secrets_in_a_line_are_masked_and_a_masked_line_is_not_taken_for_a_request(
    request_: Request[None], field: str
) -> None:
    line = request_line(request_)

    assert MASK in line
    assert SECRET not in json.loads(line).values()
    assert json.dumps(SECRET) not in line
    assert problems_of(line) == [(1, request_.function, field, "is masked; fill in the secret")]
    assert load_requests([request_line(request_, reveal=True)]) == [request_]


# ----------------------------------------------------------------------------------------- outcomes


def outcomes() -> Iterator[Outcome[object]]:
    """Yield one outcome of each kind."""
    yield Outcome(models.GetServerInfo(), raw_result=models.ServerInfo(version="25.3", machine_name="ÄRCHIV"))
    yield Outcome(models.SetUserPassword(user_name="x", password=SECRET))
    yield Outcome(
        models.GetUserInfo(user_name="nobody"),
        error=errors.FunctionFailedError("No such user.", hint="look at `get_users`", details="System.Exception"),
    )
    yield Outcome(
        models.VerifyStore(id=3), error=errors.DeadlineExceededError("still running", token="d242d822", hint="wait")
    )


def test_each_outcome_is_a_line() -> None:
    stream = io.StringIO()

    assert write_json_lines(outcomes(), stream) == 2
    assert stream.getvalue().isascii()
    succeeded, done, failed, late = decoded(stream.getvalue())
    assert succeeded == {
        "function": "GetServerInfo",
        "request": {"function": "GetServerInfo"},
        "ok": True,
        "result": {"version": "25.3", "machineName": "ÄRCHIV"},
    }
    assert done == {
        "function": "SetUserPassword",
        "request": {"function": "SetUserPassword", "userName": "x", "password": MASK},
        "ok": True,
        "result": None,
    }
    assert failed == {
        "function": "GetUserInfo",
        "request": {"function": "GetUserInfo", "userName": "nobody"},
        "ok": False,
        "error": {
            "kind": "FunctionFailedError",
            "message": "No such user.",
            "hint": "look at `get_users`",
            "details": "System.Exception",
            "attempt": 0,
        },
    }
    assert late["error"] == {
        "kind": "DeadlineExceededError", "message": "still running", "hint": "wait", "token": "d242d822", "attempt": 0,
    }  # fmt: skip


def test_the_requests_of_failed_outcomes_can_be_read_again() -> None:
    stream = io.StringIO()
    write_json_lines(outcomes(), stream)

    again = load_requests(json.dumps(line["request"]) for line in decoded(stream.getvalue()) if not line["ok"])
    assert again == [models.GetUserInfo(user_name="nobody"), models.VerifyStore(id=3)]


def test_outcomes_are_written_as_they_come() -> None:
    stream = io.StringIO()
    seen: list[int] = []

    def watched() -> Iterator[Outcome[object]]:
        for outcome in outcomes():
            seen.append(len(stream.getvalue().splitlines()))
            yield outcome

    write_json_lines(watched(), stream)
    assert seen == [0, 1, 2, 3]


def test_secrets_in_results_are_masked_unless_they_are_to_be_shown() -> None:
    hidden: Secret[JsonValue] = Secret({"secret": SECRET})
    told: list[Outcome[object]] = [
        Outcome(models.InitializeMFA(user_name="x"), raw_result=hidden),
        Outcome(
            models.GetSmtpSettings(),
            raw_result=models.SmtpSettings.model_validate({"password": SECRET, "recoveryKey": SECRET}),
        ),
        Outcome(models.GetActiveSessions(), raw_result=[{"apiKey": SECRET, "name": "x"}]),
    ]
    masked_stream, shown = io.StringIO(), io.StringIO()
    write_json_lines(told, masked_stream)
    write_json_lines(told, shown, reveal=True)

    assert [line["result"] for line in decoded(masked_stream.getvalue())] == [
        MASK,
        {"password": MASK, "recoveryKey": MASK},
        [{"apiKey": MASK, "name": "x"}],
    ]
    assert [line["result"] for line in decoded(shown.getvalue())] == [
        {"secret": SECRET},
        {"password": SECRET, "recoveryKey": SECRET},
        [{"apiKey": SECRET, "name": "x"}],
    ]


def test_a_function_without_a_model_has_a_line_as_well() -> None:
    assert request_line(_unknown_function("Newest")()) == '{"function": "Newest"}'


# ---------------------------------------------------------------------------------------------- CSV


STORES = [
    models.StoreInfo.model_validate(
        {
            "id": 1, "name": "=cmd|' /C calc'!A0", "requestedState": "current", "statisticsSize": -5,
            "needsUpgrade": False, "searchIndexesNeedRebuild": True, "error": None,
            "future": {"a": ["ü"]}, "tags": ["x", "-y"], "empty": [],
        }
    ),
    models.StoreInfo.model_validate(
        {
            "id": 2, "name": 'two "lines"\nand; more', "requestedState": "sleeping",
            "needsUpgrade": True, "searchIndexesNeedRebuild": False, "tags": ["a;b", "c"], "rows": [{"a": 1}],
        }
    ),
]  # fmt: skip


def test_a_row_has_all_known_columns_and_the_unknown_ones_behind() -> None:
    first, second = rows(STORES)

    assert list(first)[:4] == ["id", "name", "type", "requestedState"]
    assert list(first)[-3:] == ["future", "tags", "empty"]
    assert list(second)[-2:] == ["tags", "rows"]
    assert first["id"] == "1"
    assert first["needsUpgrade"] == "false"
    assert first["statisticsSize"] == "-5"
    assert first["type"] == first["error"] == first["empty"] == ""
    assert first["future"] == '{"a": ["ü"]}'
    assert first["tags"] == "x;-y"
    assert second["requestedState"] == "sleeping"
    assert second["tags"] == '["a;b", "c"]'
    assert second["rows"] == '[{"a": 1}]'


def test_dates_are_written_as_they_came_and_secrets_not_at_all() -> None:
    run = models.JobResult.model_validate(
        {
            "jobResultId": 1, "jobId": 2, "action": "VerifyStores", "result": "succeeded",
            "startTime": "2026-05-02T03:30:04.5", "accessToken": SECRET,
        }
    )  # fmt: skip
    (row,) = rows([run])
    assert row["startTime"] == "2026-05-02T03:30:04.5"
    assert row["completeTime"] == ""
    assert row["accessToken"] == MASK


def test_formulas_are_defused_where_asked_and_numbers_are_not_touched() -> None:
    first, _ = rows(STORES, guard_formulas=True)
    assert first["name"] == "'=cmd|' /C calc'!A0"
    assert first["tags"] == "x;'-y"
    assert first["statisticsSize"] == "-5"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_whatever_a_spreadsheet_may_take_for_a_formula_is_guarded(text: str) -> None:
    entry = models.UserListEntry(user_name=text)
    assert next(rows([entry], guard_formulas=True))["userName"] == f"'{text}"
    assert next(rows([entry]))["userName"] == text


def test_csv_can_be_read_back() -> None:
    stream = io.StringIO()

    assert write_csv(STORES, stream, guard_formulas=False) == 2
    read_back = list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))
    for read, told in zip(read_back, rows(STORES), strict=True):
        assert {name: read[name] for name in told} == told
    assert [row["rows"] for row in read_back] == ["", '[{"a": 1}]']
    assert "\r" not in stream.getvalue()


def test_csv_is_fit_for_a_spreadsheet_by_default() -> None:
    stream = io.StringIO()
    write_csv([models.UserListEntry(user_name="=x")], stream)
    assert stream.getvalue().splitlines()[1].startswith("'=x,")


def test_the_columns_can_be_chosen() -> None:
    stream = io.StringIO()
    assert write_csv(iter(STORES), stream, columns=["tags", "id", "nothing"], delimiter=";") == 2
    assert stream.getvalue() == 'tags;id;nothing\n"x;\'-y";1;\n"[""a;b"", ""c""]";2;\n'


def test_no_results_are_no_rows() -> None:
    stream = io.StringIO()
    assert write_csv([], stream) == 0
    assert stream.getvalue() == ""
    assert write_csv([], stream, columns=["id", "=name"]) == 0
    assert stream.getvalue() == "id,'=name\n"


# -------------------------------------------------------------------------------------------- union


def test_the_union_reads_and_dumps_lines() -> None:
    adapter = request_adapter()
    members = {"function": "CreateUser", "userName": "jane.doe", "privileges": ["login"], "password": SECRET}
    request = adapter.validate_json(json.dumps(members))

    assert request == models.CreateUser(user_name="jane.doe", privileges="login", password=SECRET)
    assert adapter.validate_python(request) is request
    assert adapter.dump_python(request, mode="json", exclude_unset=True) == {
        "function": "CreateUser", "userName": "jane.doe", "privileges": ["login"], "password": MASK,
    }  # fmt: skip
    assert adapter.validate_json(adapter.dump_json(models.VerifyStore(id=3))) == models.VerifyStore(id=3)
    assert request_adapter() is adapter


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"function": "Nope"}, "unknown_function"),
        ({"id": 3}, "unknown_function"),
        ({"function": ["VerifyStore"]}, "unknown_function"),
        ("VerifyStore", "unknown_function"),
        (models.ServerInfo(version="1", machine_name="x"), "unknown_function"),
        ({"function": "VerifyStore"}, "missing"),
        ({"function": "VerifyStore", "id": 3, "nope": 1}, "extra_forbidden"),
    ],
)
def test_the_union_refuses_what_is_no_request(value: object, kind: str) -> None:
    with pytest.raises(ValidationError) as caught:
        request_adapter().validate_python(value)
    assert [problem["type"] for problem in caught.value.errors()] == [kind]
    assert len(str(caught.value)) < 500


def test_the_schema_of_the_union_is_that_of_a_line() -> None:
    schema = request_adapter().json_schema()
    by_name = {one["properties"]["function"]["const"]: one for one in schema["oneOf"]}

    assert by_name.keys() == {kind.function for kind in ALL}
    assert by_name["VerifyStore"]["required"] == ["function", "id"]
    assert list(by_name["VerifyStore"]["properties"]) == ["function", "id", "includeIndexes"]


# ---------------------------------------------------------------------------------------- all of it


def test_a_file_of_requests_becomes_a_file_of_outcomes() -> None:
    functions = Registry()

    @functions.answers(models.GetUsers)
    def get_users(world: World, request: models.GetUsers) -> list[models.UserListEntry]:
        return [models.UserListEntry(user_name="john.doe"), models.UserListEntry(user_name="jane.doe")]

    @functions.answers(models.GetUserInfo)
    def get_user_info(world: World, request: models.GetUserInfo) -> models.UserInfo:
        raise Failed("There is no such user.")

    lines = [
        '{"function": "GetUsers"}',
        '{"function": "GetUserInfo", "userName": "nobody"}',
        '{"function": "GetUsers"}',
    ]
    stream, table = io.StringIO(), io.StringIO()
    with (
        Sandbox(functions=functions) as sandbox,
        MailStoreServer(
            sandbox.host, port=sandbox.port, password=sandbox.password, fingerprint=sandbox.fingerprint
        ) as server,
    ):
        assert write_json_lines(server.run_many(load_requests(lines)), stream) == 1
        assert write_csv(server.get_users(), table, columns=["userName"]) == 2

    first, failed, last = decoded(stream.getvalue())
    assert first["result"] == last["result"] == [{"userName": "john.doe"}, {"userName": "jane.doe"}]
    assert isinstance(failed["error"], dict)
    assert failed["error"]["kind"] == "FunctionFailedError"
    assert failed["error"]["message"] == "There is no such user."
    assert failed["error"]["server"] == f"{sandbox.host}:{sandbox.port}"
    assert table.getvalue() == "userName\njohn.doe\njane.doe\n"
