"""The JSON Schema of the API: a valid bundle that says what the models do, with words for everything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError
from pydantic import JsonValue

from mailstore import models
from mailstore.compatibility import request_types
from mailstore.models._documentation import field_docstrings, paragraphs
from mailstore.models.base import OpenEnum, Request, Response, wire_names
from mailstore.models.protocol import CancelAsync, GetMetadata, GetStatus
from mailstore.pipelines import request_adapter, request_line
from mailstore.schema import DIALECT, api_schema
from tests.test_round_trips import QUICK, requests_of, response_types, values_of

ALL: list[type[Request[Any]]] = [*request_types(), GetMetadata, GetStatus, CancelAsync]
BUNDLE = api_schema()
DEFINITIONS = cast("dict[str, dict[str, Any]]", BUNDLE["$defs"])

by_function = pytest.mark.parametrize("request_type", ALL, ids=lambda kind: kind.function)


def validator(name: str) -> Draft202012Validator:
    """Return the validator of one definition."""
    return Draft202012Validator({"$ref": f"#/$defs/{name}", **BUNDLE})


def schemas_in(value: JsonValue, path: str = "#") -> Iterator[tuple[str, dict[str, JsonValue]]]:
    """Yield every object in a schema with its path."""
    if isinstance(value, dict):
        yield path, value
        for name, member in value.items():
            yield from schemas_in(member, f"{path}/{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from schemas_in(item, f"{path}/{index}")


# ---------------------------------------------------------------------------------------- the bundle


def test_the_bundle_is_a_valid_schema_of_its_dialect() -> None:
    assert BUNDLE["$schema"] == DIALECT
    Draft202012Validator.check_schema(BUNDLE)
    assert json.loads(json.dumps(BUNDLE)) == BUNDLE


def test_every_reference_leads_somewhere() -> None:
    references = {
        str(schema[name]).removeprefix("#/$defs/")
        for _, schema in schemas_in(BUNDLE)
        for name in ("$ref", "result", "envelope")
        if isinstance(schema.get(name), str)
    }
    assert len(references) > 200
    assert references - DEFINITIONS.keys() == set()


def test_every_definition_and_every_member_has_a_description() -> None:
    assert [name for name, definition in DEFINITIONS.items() if not definition.get("description")] == []
    silent = [
        f"{path}/{name}"
        for path, schema in schemas_in(BUNDLE)
        if isinstance(members := schema.get("properties"), dict) and "title" in schema
        for name, member in members.items()
        if not (isinstance(member, dict) and member.get("description"))
    ]
    assert silent == []


def test_every_value_of_an_enumeration_has_a_description() -> None:
    values = [(path, schema) for path, schema in schemas_in(BUNDLE) if "const" in schema and "title" in schema]
    named = [(path, schema) for path, schema in values if "/oneOf/" in path or "/anyOf/" in path]
    assert len(named) > 100
    assert [path for path, schema in named if not schema.get("description")] == []


def test_titles_are_words() -> None:
    properties = DEFINITIONS["GetWorkerResults"]["properties"]
    assert [member["title"] for member in properties.values()] == [
        "From including", "To excluding", "Time zone id", "Profile id", "User name",
    ]  # fmt: skip


def test_no_definition_hides_another() -> None:
    made = [f"{kind.__name__}{part}" for kind in ALL for part in ("", "Result", "Envelope")]
    made += [f"Known{name}" for name in models.__all__]
    others = {name for name in models.__all__ if not issubclass_of(name, Request)}
    assert len(set(made)) == len(made)
    assert set(made) & others == set()


def issubclass_of(name: str, kind: type) -> bool:
    value: object = getattr(models, name)
    return isinstance(value, type) and issubclass(value, kind)


def test_two_calls_give_two_bundles() -> None:
    bundle = api_schema()
    assert bundle == BUNDLE
    assert bundle["$defs"] is not BUNDLE["$defs"]


# ------------------------------------------------------------------------------------ each function


@by_function
def test_a_function_is_described_with_its_facts(request_type: type[Request[Any]]) -> None:
    name = request_type.__name__
    definition = DEFINITIONS[name]

    assert definition["title"] == name
    assert request_type.__doc__ is not None
    assert definition["description"] == paragraphs(request_type.__doc__)
    assert definition["additionalProperties"] is False
    assert definition["x-mailstore"] == {
        "function": request_type.function,
        "endpoint": f"/api/{request_type.endpoint}",
        "repeatable": request_type.repeatable,
        "since": request_type.since,
        "result": f"#/$defs/{name}Result",
        "envelope": f"#/$defs/{name}Envelope" if request_type.enveloped else None,
    }
    documented = field_docstrings(request_type)
    told = {wire: member["description"] for wire, member in definition["properties"].items()}
    assert told == {wire: documented[field] for field, wire in wire_names(request_type).items()}
    assert definition.get("required", []) == [
        wire for field, wire in wire_names(request_type).items() if request_type.model_fields[field].is_required()
    ]


@by_function
def test_every_request_fits_its_definition(request_type: type[Request[Any]]) -> None:
    arguments = validator(request_type.__name__)

    @QUICK
    @given(requests_of(request_type))
    def holds(request: Request[Any]) -> None:
        arguments.validate(request.to_wire())

    holds()


@by_function
def test_every_answer_fits_its_definition(request_type: type[Request[Any]]) -> None:
    returns = request_type.returns
    results = st.none() if returns is None else values_of(_plain(returns))
    result = validator(f"{request_type.__name__}Result")
    envelope = validator(f"{request_type.__name__}Envelope") if request_type.enveloped else None

    @QUICK
    @given(results)
    def holds(value: Any) -> None:
        result.validate(value)
        if envelope is not None:
            envelope.validate({"statusCode": "succeeded", "result": value, "future": 1})
            envelope.validate({"statusCode": "running", "token": "0" * 32, "statusVersion": 3, "result": None})

    holds()


def _plain(returns: Any) -> Any:
    return JsonValue if returns == models.HiddenJson else returns


@pytest.mark.parametrize("model", response_types(), ids=lambda model: model.__name__)
def test_models_of_results_are_open_and_described(model: type[Response]) -> None:
    definition = DEFINITIONS.get(model.__name__)
    if definition is None:  # a model that is part of another one only
        return
    assert definition["additionalProperties"] is True
    assert list(definition["properties"]) == list(wire_names(model).values())


def test_all_models_and_enumerations_of_results_are_there() -> None:
    exported = {
        name
        for name in models.__all__
        if issubclass_of(name, OpenEnum) or (issubclass_of(name, Response) and name != "Response")
    }
    # These are reached by requests alone, where the closed set takes their place.
    closed = {name for name in exported if f"Known{name}" in DEFINITIONS}
    assert exported - DEFINITIONS.keys() - closed - {"OpenEnum"} == set()


# ------------------------------------------------------------------------------------- real samples


SAMPLES: list[tuple[str, JsonValue]] = [
    (
        "GetServerInfoEnvelope",
        {
            "error": None, "token": None, "statusVersion": 2, "statusCode": "succeeded", "percentProgress": None,
            "statusText": None, "result": {"version": "22.3.0.21002", "machineName": "ARCHIVE"}, "logOutput": None,
        },
    ),
    (
        "GetUserInfoEnvelope",
        {
            "error": {"message": "Missing API argument userName.", "details": "System.Exception: Missing API…\r\n"},
            "token": None, "statusVersion": 2, "statusCode": "failed", "percentProgress": None, "statusText": None,
            "result": None, "logOutput": None,
        },
    ),
    (
        "VerifyStoreEnvelope",
        {
            "error": None, "token": "d242d822a59bd4db308eef8b85af7d2a", "statusVersion": 71,
            "statusCode": "succeeded", "percentProgress": 100, "statusText": None, "result": None,
            "logOutput": "  100% of current file processed.\r\n",
        },
    ),
    (
        "GetUserInfoResult",
        {
            "userName": "john.doe", "fullName": "John Doe", "distinguishedName": None, "authentication": "integrated",
            "emailAddresses": ["john.doe@example.com"], "pop3UserNames": [], "privileges": ["admin"],
            "loginPrivileges": ["windows", "web"], "mfaStatus": "Disabled",
        },
    ),
    (
        "GetWorkerResultsResult",
        [
            {
                "id": 1, "userName": "admin", "result": "completedWithErrors", "itemsArchived": 3,
                "startTime": "2026-05-02T03:30:04", "completeTime": "2026-05-02T03:30:09", "machineName": "ARCHIVE",
            }
        ],
    ),
    ("GetMetadataResult", [{"name": "GetUsers", "args": []}]),
    ("CreateUser", {"userName": "jane.doe", "privileges": "login,archive", "password": "secret"}),
    ("CreateUser", {"userName": "jane.doe", "privileges": ["login", "archive"], "fullName": None}),
    ("GetJobResults", {"fromIncluding": "2026-01-01T00:00:00", "toExcluding": "2026-02-01T00:00:00"}),
    ("SetSmtpSettings", {"settings": {"password": "secret", "host": "mail.example.com"}}),
    ("SetRetentionPolicies", {"config": [{"name": "all", "period": 10, "periodInterval": "year"}]}),
    ("SetRetentionPolicies", {"config": {"anything": []}}),
    ("CreateJob", {"name": "x", "action": "VerifyStores", "owner": "admin", "timeZoneId": "$Local", "time": "3:30"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "document"), SAMPLES)
def test_samples_fit(name: str, document: JsonValue) -> None:
    validator(name).validate(document)


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("CreateUser", {"userName": "jane.doe"}),
        ("CreateUser", {"userName": "", "privileges": "login"}),
        ("CreateUser", {"userName": "jane.doe", "privileges": ["logn"]}),
        ("CreateUser", {"userName": "jane.doe", "privileges": "login", "user_name": "x"}),
        ("SetUserAuthentication", {"userName": "jane.doe", "authentication": "integratd"}),
        ("GetJobResults", {"fromIncluding": "2026-01-01T00:00:00Z", "toExcluding": "2026-02-01T00:00:00"}),
        ("VerifyStore", {"id": "3"}),
        ("GetWorkerResults", {"fromIncluding": "2026-01-01", "toExcluding": "2026-02-01T00:00:00"}),
        ("SetRetentionPolicies", {"config": [{"period": 3}]}),
        ("SetSmtpSettings", {"settings": "x"}),
        ("GetServerInfoResult", {"version": "22.3"}),
        ("GetServerInfoEnvelope", {"statusCode": "succeeded", "result": {"version": "22.3"}}),
        ("VerifyStoreEnvelope", {"result": None}),
        ("VerifyStoreResult", {}),
    ],
)
def test_mistakes_do_not_fit(name: str, document: JsonValue) -> None:
    with pytest.raises(ValidationError):
        validator(name).validate(document)


def test_a_value_of_a_newer_server_fits_in_an_answer_and_not_in_a_request() -> None:
    assert validator("UserPrivilege").is_valid("fly")
    assert not validator("KnownUserPrivilege").is_valid("fly")
    assert not validator("UserPrivilege").is_valid(3)


def test_lines_of_requests_fit_the_schema_of_the_union() -> None:
    schema = {"$schema": DIALECT, **request_adapter().json_schema()}
    Draft202012Validator.check_schema(schema)
    line = Draft202012Validator(schema)

    line.validate(json.loads(request_line(models.VerifyStore(id=3))))
    line.validate(json.loads(request_line(models.CreateUser(user_name="x", privileges=["login"], password="secret"))))
    assert not line.is_valid({"function": "VerifyStore"})
    assert not line.is_valid({"function": "Nope"})
    assert not line.is_valid({"id": 3})
