"""What is sent can be read back, and what was read is dumped as it came: properties of every model."""

from __future__ import annotations

import json
import pickle
import types
from datetime import datetime, time
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import annotated_types
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue, SecretStr, TypeAdapter

from mailstore import models
from mailstore._protocol import form_body, form_fields
from mailstore.compatibility import request_types
from mailstore.models.base import REVEAL, Model, OpenEnum, Request, Response, python_names, wire_names
from mailstore.models.fields import (
    JsonObject,
    ListOf,
    OneOf,
    SecretText,
    WireDateTime,
    WireTime,
    WireTimeZone,
)
from mailstore.models.jobs import WireDayOfMonth
from mailstore.sandbox.arguments import read

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Some text rules are written as code; these are texts that they accept.
SPECIAL_TEXTS: dict[tuple[str, str], st.SearchStrategy[Any]] = {
    ("DeleteMessage", "id"): st.builds("{}:{}".format, st.integers(1, 99), st.integers(1, 10**9)),
    ("SetServiceCertificate", "thumbprint"): st.text("0123456789abcdefABCDEF", min_size=40, max_size=40),
}

texts = st.text(max_size=12)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
moments = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 30)).map(lambda moment: moment.replace(microsecond=0))


# ---------------------------------------------------------------------------- requests, by their types


def arguments(hint: Any, where: tuple[str, str]) -> st.SearchStrategy[Any]:
    """Return values that a caller may give for an argument of this type."""
    if where in SPECIAL_TEXTS:
        return SPECIAL_TEXTS[where]
    origin = get_origin(hint)
    if origin is Annotated:
        base, *rules = get_args(hint)
        for rule in rules:
            found = _by_rule(rule)
            if found is not None:
                return found
        shortest = next(
            (rule.min_length for rule in _constraints(rules) if isinstance(rule, annotated_types.MinLen)), 0
        )
        bounds: list[Any] = [rule.ge for rule in _constraints(rules) if isinstance(rule, annotated_types.Ge)]
        least = max(bounds, default=None)
        if base is str:
            return st.text(min_size=shortest, max_size=12)
        if base in {int, int | None}:
            numbers = st.integers(least, 2**31)
            return numbers if base is int else numbers | st.none()
        return arguments(base, where)
    if origin in {Union, types.UnionType}:
        return st.one_of([arguments(part, where) for part in get_args(hint)])
    if origin is Literal:
        return st.sampled_from(get_args(hint))
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: texts, int: st.integers(0, 2**31), bool: st.booleans(), type(None): st.none(),
    }  # fmt: skip
    return simple[hint]


def _constraints(rules: list[Any]) -> list[Any]:
    return [constraint for rule in rules for constraint in getattr(rule, "metadata", [rule])]


def _by_rule(rule: Any) -> st.SearchStrategy[Any] | None:
    match rule:
        case OneOf():
            return st.sampled_from(list(rule.enum))
        case ListOf(enum=None):
            items = st.text(st.characters(exclude_characters=",", exclude_categories=["Cs"]), min_size=1, max_size=9)
            return st.lists(items.filter(lambda item: item == item.strip() != ""), min_size=1, max_size=4)
        case ListOf(enum=enum):
            assert enum is not None
            several = st.lists(st.sampled_from([one for one in enum if one not in rule.alone]), unique=True)
            return several | st.sampled_from(sorted(rule.alone)).map(lambda item: [item])
        case WireDateTime():
            return moments
        case WireTime():
            return st.times().map(lambda clock: clock.replace(microsecond=0))
        case WireTimeZone():
            return st.sampled_from(["$Local", "UTC", "W. Europe Standard Time", "Pacific Standard Time"])
        case WireDayOfMonth():
            return st.integers(1, 31) | st.just("Last")
        case SecretText():
            return texts | texts.map(SecretStr)
        case JsonObject(model=model, many=many):
            one = members(model, without=("id", "version"))
            return st.lists(one, max_size=2) if many else one
        case _:
            return None


def requests_of(request_type: type[Request[Any]]) -> st.SearchStrategy[Request[Any]]:
    """Return requests of a class, the rules between its arguments kept."""
    hints = {
        name: hint
        for name, hint in get_type_hints(request_type, include_extras=True).items()
        if name in request_type.model_fields
    }
    name = request_type.function
    needed = {
        field: arguments(hint, (name, field))
        for field, hint in hints.items()
        if request_type.model_fields[field].is_required()
    }
    optional = {field: arguments(hint, (name, field)) for field, hint in hints.items() if field not in needed}
    given_arguments = st.fixed_dictionaries(needed, optional=optional)
    return given_arguments.map(lambda values: request_type(**_consistent(name, values)))


def _consistent(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return arguments that respect the rules between them."""
    if name in {"GetJobResults", "GetWorkerResults"}:
        first, last = sorted((values["from_including"], values["to_excluding"]))
        values |= {"from_including": first, "to_excluding": last if last > first else datetime(9999, 12, 31)}
    if name in {"CreateJob", "SetJobSchedule"}:
        forms = [form for form in ("date", "interval", "time") if values.get(form) is not None] or ["time"]
        for form in ("date", "interval", "time"):
            if form != forms[0]:
                values.pop(form, None)
        if forms[0] == "time":
            values["time"] = values.get("time") or time(3, 30)
        else:
            values.pop("day_of_week", None)
            values.pop("day_of_month", None)
    if name == "SetProfileServerSideExecution" and values["automatic"]:
        values["automatic_pause_between_executions"] = values.get("automatic_pause_between_executions") or 60
    return values


@pytest.mark.parametrize("request_type", request_types(), ids=lambda request: request.function)
def test_a_form_read_back_is_the_same_request(request_type: type[Request[Any]]) -> None:
    @QUICK
    @given(requests_of(request_type))
    def holds(request: Request[Any]) -> None:
        fields = form_fields(request)
        assert None not in fields.values()
        assert fields.keys() <= set(wire_names(request_type).values())
        again = read(request_type, _decoded(form_body(fields)))
        assert again == request or form_fields(again) == fields  # unset and default are the same on the wire
        assert pickle.loads(pickle.dumps(request)) == request  # noqa: S301 - our own

    holds()


def _decoded(body: bytes) -> dict[str, str]:
    from urllib.parse import parse_qsl

    return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=50))


# ----------------------------------------------------------------------------- results, by their types


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Return JSON values that a server may send for a member of this type."""
    if hint is JsonValue or hint is Any:
        return json_values
    if hint is models.HiddenStr or (get_origin(hint) is Annotated and get_args(hint)[0] is SecretStr):
        return texts
    origin = get_origin(hint)
    if origin is Annotated:
        return values_of(get_args(hint)[0])
    if origin in {Union, types.UnionType}:
        return st.one_of([values_of(part) for part in get_args(hint)])
    if origin is list:
        return st.lists(values_of(get_args(hint)[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(texts, values_of(get_args(hint)[1]), max_size=3)
    if origin is Literal:
        return st.sampled_from(get_args(hint))
    if isinstance(hint, type) and issubclass(hint, OpenEnum):
        return st.sampled_from([member.value for member in hint]) | texts
    if isinstance(hint, type) and issubclass(hint, Model):
        return members(hint)
    if hint is datetime:
        fractions = st.sampled_from(["", ".5", ".123", ".1234567", "Z", ".25Z", "+02:00"])
        return st.tuples(moments.filter(lambda at: 1 < at.year < 9999), fractions).map(_spelled)
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: texts, int: st.integers(), float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(), type(None): st.none(),
    }  # fmt: skip
    return simple[hint]


def members(model: type[Model], without: tuple[str, ...] = ()) -> st.SearchStrategy[dict[str, Any]]:
    """Return JSON objects that a server may send for a model, unknown members included."""
    hints = get_type_hints(model, include_extras=True)
    wire = wire_names(model)
    known = {*python_names(model), *model.model_fields, *without}
    needed = {wire[name]: values_of(hints[name]) for name, field in model.model_fields.items() if field.is_required()}
    optional = {wire[name]: values_of(hints[name]) for name in model.model_fields if wire[name] not in needed}
    unknown = st.dictionaries(texts.filter(lambda name: name not in known), json_values, max_size=2)
    return st.tuples(st.fixed_dictionaries(needed, optional=optional), unknown).map(_joined)


def _spelled(moment_and_fraction: tuple[datetime, str]) -> str:
    moment, fraction = moment_and_fraction
    return moment.isoformat() + fraction


def _joined(own_and_more: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    own, more = own_and_more
    return {**own, **more}


def response_types() -> list[type[Response]]:
    """Return the exported result models that are no envelope."""
    found = [getattr(models, name) for name in models.__all__]
    return [
        value
        for value in found
        if isinstance(value, type) and issubclass(value, Response) and value not in {Response, models.StatusEnvelope}
    ]


@pytest.mark.parametrize("model", response_types(), ids=lambda model: model.__name__)
def test_json_read_and_dumped_is_the_same(model: type[Response]) -> None:
    @QUICK
    @given(members(model))
    def holds(answer: dict[str, Any]) -> None:
        text = json.dumps(answer)
        read_back = model.model_validate_json(text)
        assert read_back.to_wire() == answer
        assert json.loads(read_back.model_dump_json(context=REVEAL)) == answer
        assert list(read_back.keys()) != [] or answer == {}
        assert all(name in read_back for name in answer)
        assert pickle.loads(pickle.dumps(read_back)) == read_back  # noqa: S301 - our own

    holds()


@pytest.mark.parametrize("request_type", request_types(), ids=lambda request: request.function)
def test_an_envelope_read_and_dumped_is_the_same(request_type: type[Request[Any]]) -> None:
    returns = request_type.returns
    results = st.none() if returns is None else json_values if returns == models.HiddenJson else values_of(returns)
    generic: Any = models.StatusEnvelope
    envelope_type: type[models.StatusEnvelope[Any]] = generic[returns]

    @settings(QUICK, max_examples=10)
    @given(results, st.sampled_from(["succeeded", "running", "paused"]), json_values)
    def holds(result: Any, code: str, unknown: Any) -> None:
        answer = {
            "error": None, "token": "0" * 32, "statusVersion": 71, "statusCode": code, "percentProgress": 100,
            "statusText": None, "result": result, "logOutput": "a\r\n", "antiXsrfToken": unknown,
        }  # fmt: skip
        read_back = envelope_type.model_validate_json(json.dumps(answer))
        assert read_back.to_wire() == answer
        assert read_back["statusCode"] == code

    holds()


@pytest.mark.parametrize(
    ("text", "aware"),
    [
        ("2026-05-02T03:30:04", True),
        ("2026-05-02T03:30:04.1234567", True),
        ("2026-05-02T03:30:04Z", True),
    ],
)
def test_utc_fields_become_aware_datetimes_and_keep_their_spelling(text: str, *, aware: bool) -> None:
    adapter: TypeAdapter[datetime] = TypeAdapter(models.UtcDateTime)
    moment = adapter.validate_python(text)

    assert (moment.utcoffset() is not None) is aware
    assert moment.replace(tzinfo=None, microsecond=0) == datetime(2026, 5, 2, 3, 30, 4)
    assert adapter.dump_python(moment, mode="json") == text
    assert adapter.dump_python(moment.replace(microsecond=0), mode="json") == "2026-05-02T03:30:04"


def test_an_absent_member_stays_absent_and_a_null_stays_null() -> None:
    entry = models.UserListEntry.model_validate_json('{"userName": "john.doe", "fullName": null}')

    assert entry.to_wire() == {"userName": "john.doe", "fullName": None}
    assert "fullName" in entry
    assert "mfaStatus" not in entry
    assert entry.mfa_status is None
    with pytest.raises(KeyError):
        entry["mfaStatus"]
    assert entry.get("mfaStatus", "unknown") == "unknown"


def test_a_configuration_survives_read_change_and_write() -> None:
    told = {"legalHoldEnabled": False, "logSuccessfulUserActivities": ["SessionLogin", "Newest"], "future": {"a": [1]}}
    config = models.ComplianceConfiguration.model_validate_json(json.dumps(told))
    request = models.SetComplianceConfiguration(config=config.model_copy(update={"legal_hold_enabled": True}))

    assert json.loads(form_fields(request)["config"]) == {**told, "legalHoldEnabled": True}


def test_models_cannot_be_changed_in_place() -> None:
    info = models.ServerInfo(version="25.3", machine_name="ARCHIVE")

    with pytest.raises(ValueError, match="frozen"):
        info.version = "26.1"


def test_an_unknown_enumeration_value_is_kept_and_known_as_unknown() -> None:
    value = models.StoreRequestedState("sleeping")

    assert value == "sleeping"
    assert not value.is_known
    assert models.StoreRequestedState.CURRENT.is_known
    assert value not in list(models.StoreRequestedState)
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own
    assert form_fields(models.SetStoreRequestedState(id=1, requested_state=value))["requestedState"] == "sleeping"


def test_datetimes_of_a_request_are_naive_whole_seconds_on_the_wire() -> None:
    request = models.GetJobResults(
        from_including=datetime(2026, 1, 2, 3, 4, 5, 678), to_excluding="2026-01-31T23:59:59", time_zone_id="UTC"
    )
    assert form_fields(request)["fromIncluding"] == "2026-01-02T03:04:05"
    assert form_fields(request)["toExcluding"] == "2026-01-31T23:59:59"
