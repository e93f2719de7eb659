"""The package against its own list of the API (tests/data/api.json): nothing missing, nothing extra."""

from __future__ import annotations

import importlib.util
import inspect
import json
import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import JsonValue

from mailstore import models
from mailstore.client import MailStoreServer
from mailstore.compatibility import CompatibilityReport, compare, declared, request_types
from mailstore.models._documentation import field_docstrings, member_docstrings
from mailstore.models.base import Model, OpenEnum, Request, wire_names
from mailstore.models.protocol import FunctionMetadata
from mailstore.sandbox import Fault, FaultKind, Sandbox
from mailstore.sandbox.registry import registry
from mailstore.server import Client

ROOT = Path(__file__).resolve().parent.parent
API: dict[str, Any] = json.loads((ROOT / "tests" / "data" / "api.json").read_text(encoding="utf-8"))
FUNCTIONS: dict[str, dict[str, Any]] = {function["name"]: function for function in API["functions"]}
INVOKED = {name: function for name, function in FUNCTIONS.items() if function["endpoint"].startswith("invoke/")}
REQUESTS = {request.function: request for request in request_types()}

# Where the list names a type otherwise than the package does, and why.
RENAMED = {"ApiResponse": "StatusEnvelope", "ApiError": "ErrorDetails"}
# Value sets whose members are not the members of an enumeration of the same name.
VALUES_ELSEWHERE = {
    "JobInterval": {str(minutes) for minutes in get_args(models.JobInterval)},
    "DayOfMonth": set(get_args(models.DayOfMonthText)) - {"last"},  # "last" is another spelling of "Last"
    "TimeZoneId": {models.LOCAL},
}


def public_models() -> list[type[Model]]:
    """Return every exported model."""
    found = [getattr(models, name) for name in models.__all__]
    return [value for value in found if isinstance(value, type) and issubclass(value, Model)]


def public_enums() -> list[type[OpenEnum]]:
    """Return every exported enumeration."""
    found = [getattr(models, name) for name in models.__all__]
    return [
        value for value in found if isinstance(value, type) and issubclass(value, OpenEnum) and value is not OpenEnum
    ]


def test_every_function_has_a_request_class_and_there_is_none_besides() -> None:
    assert REQUESTS.keys() == INVOKED.keys()
    protocol = {FUNCTIONS[name]["endpoint"] for name in FUNCTIONS.keys() - INVOKED.keys()}
    assert protocol == {request.endpoint for request in (models.GetMetadata, models.GetStatus, models.CancelAsync)}


@pytest.mark.parametrize("name", INVOKED)
def test_a_request_has_the_arguments_types_and_nullability_of_the_api(name: str) -> None:
    expected = {argument["name"]: (argument["type"], argument["nullable"]) for argument in INVOKED[name]["arguments"]}

    assert {argument.name: (argument.type, argument.nullable) for argument in declared(REQUESTS[name]).args} == expected
    assert REQUESTS[name].endpoint == INVOKED[name]["endpoint"]


@pytest.mark.parametrize("name", INVOKED)
def test_the_tutorials_method_has_the_names_the_order_and_the_defaults_of_the_vendors_client(name: str) -> None:
    parameters = list(inspect.signature(getattr(Client, name)).parameters.values())[1:]

    spelled = [
        parameter.name if parameter.default is parameter.empty else f"{parameter.name}={parameter.default!r}"
        for parameter in parameters
    ]
    assert spelled == INVOKED[name]["tutorial"]


@pytest.mark.parametrize("name", INVOKED)
def test_the_snake_case_method_takes_what_the_request_takes_and_returns_its_result(name: str) -> None:
    request = REQUESTS[name]
    method = getattr(MailStoreServer, snake(name))
    parameters = dict(list(inspect.signature(method).parameters.items())[1:])

    assert parameters.keys() == request.model_fields.keys()
    for field, parameter in parameters.items():
        required = request.model_fields[field].is_required()
        assert (parameter.default is parameter.empty) == required, field
        assert parameter.kind is (parameter.POSITIONAL_OR_KEYWORD if required else parameter.KEYWORD_ONLY), field
    hints = inspect.get_annotations(method, eval_str=True, globals={**vars(sys.modules[method.__module__])})
    assert hints["return"] == request.returns


def test_the_clients_have_no_methods_for_functions_that_the_api_does_not_have() -> None:
    tutorial = {name for name in vars(Client) if not name.startswith("_")}
    python = {name for name in vars(MailStoreServer) if not name.startswith("_")}

    assert tutorial == INVOKED.keys()
    assert python == {snake(name) for name in INVOKED}


def test_the_sandbox_answers_every_function_and_no_other() -> None:
    assert {function.request_type.function for function in registry} == INVOKED.keys()


@pytest.mark.parametrize("name", API["values"])
def test_every_allowed_value_is_a_member_and_there_is_none_besides(name: str) -> None:
    expected = set(API["values"][name])

    if name in VALUES_ELSEWHERE:
        assert VALUES_ELSEWHERE[name] == expected
    else:
        assert {str(member) for member in getattr(models, name)} == expected


@pytest.mark.parametrize("enum", public_enums(), ids=lambda enum: enum.__name__)
def test_a_literal_beside_an_enumeration_has_exactly_its_values(enum: type[Enum]) -> None:
    literal = getattr(models, f"{enum.__name__}Text", None)

    if literal is not None:
        assert list(get_args(literal)) == [member.value for member in enum]


@pytest.mark.parametrize("name", API["results"])
def test_a_result_has_every_member_that_is_known(name: str) -> None:
    model: type[Model] = getattr(models, RENAMED.get(name, name))
    # A path was seen only in the vendor's own additions to the metadata, never on the wire.
    expected = set(API["results"][name]) - ({"path"} if name == "FunctionMetadata" else set())

    assert expected <= set(wire_names(model).values())


@pytest.mark.parametrize("name", INVOKED)
def test_a_result_type_is_the_documented_one_and_plain_json_where_nobody_knows(name: str) -> None:
    documented, returns = INVOKED[name]["result"], REQUESTS[name].returns

    if name in {"VerifyStore", "VerifyStores"}:
        assert returns is None  # seen in the tutorial: null, the findings are in the log
    elif name == "InitializeMFA":
        assert returns == models.HiddenJson  # unknown, and perhaps a secret
    elif documented == "unknown":
        assert returns is JsonValue
        assert "not publicly documented" in " ".join((REQUESTS[name].__doc__ or "").split())
    elif documented == "null":
        assert returns is None
    else:
        spelled = f"list[{get_args(returns)[0].__name__}]" if get_args(returns) else returns.__name__
        assert spelled == documented


@pytest.mark.parametrize("model", public_models(), ids=lambda model: model.__name__)
def test_every_model_and_every_field_is_documented(model: type[Model]) -> None:
    assert (model.__doc__ or "").strip()
    assert field_docstrings(model).keys() == model.model_fields.keys()


@pytest.mark.parametrize("enum", public_enums(), ids=lambda enum: enum.__name__)
def test_every_member_of_an_enumeration_is_documented(enum: type[Enum]) -> None:
    assert member_docstrings(enum).keys() == set(enum.__members__)


def test_only_readers_and_the_protocol_are_repeatable() -> None:
    repeatable = {name for name, request in REQUESTS.items() if request.repeatable}

    assert repeatable == {name for name in INVOKED if name.startswith("Get")}


def test_generated_files_are_fresh() -> None:
    outcome = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(ROOT / "scripts" / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_a_stale_file_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "scripts" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    monkeypatch.setattr(generate, "client_source", lambda: "# something else\n")
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])

    assert generate.main() == 1
    assert "client.py" in capsys.readouterr().out


# ------------------------------------------------------------------------------ check_compatibility


def metadata() -> list[FunctionMetadata]:
    """Return what a server of exactly this version would declare."""
    return [declared(request) for request in REQUESTS.values()]


def test_a_server_of_the_same_version_is_compatible() -> None:
    report = compare(metadata())

    assert report.compatible
    assert "same functions" in str(report)


def test_a_report_names_functions_that_only_one_side_has() -> None:
    offered = [function for function in metadata() if function.name != "GetCredentials"]
    report = compare([*offered, FunctionMetadata(name="GetWeather", args=[])])

    assert report.only_on_server == ["GetWeather"]
    assert report.only_here == ["GetCredentials"]
    assert not report.compatible


def test_a_report_names_arguments_that_differ() -> None:
    other = FunctionMetadata.model_validate(
        {
            "name": "VerifyStore",
            "args": [
                {"name": "id", "type": "string", "nullable": False},
                {"name": "includeIndexes", "type": "bool", "nullable": True},
                {"name": "depth", "type": "number", "nullable": True},
            ],
        }
    )
    report = compare([other if function.name == "VerifyStore" else function for function in metadata()])

    assert [(one.argument, one.kind) for one in report.arguments] == [
        ("id", "other type"),
        ("includeIndexes", "other nullability"),
        ("depth", "only on the server"),
    ]
    assert "VerifyStore.id: other type (server: string, mandatory) (here: number, mandatory)" in str(report)
    assert CompatibilityReport.model_validate_json(report.model_dump_json()) == report


def snake(name: str) -> str:
    """Return the snake_case spelling by a rule of its own, not the generator's."""
    spelled = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
    return spelled.replace("m_f_a", "mfa")


def test_request_is_exported_for_annotations() -> None:
    assert models.Request is Request


def test_a_live_server_is_asked_for_its_metadata() -> None:
    with Sandbox() as sandbox:
        with MailStoreServer(
            sandbox.host, port=sandbox.port, password="admin", fingerprint=sandbox.fingerprint
        ) as server:
            assert server.check_compatibility().compatible

        older = b'[{"name": "GetServerInfo", "args": []}, {"name": "GetWeather", "args": []}]'
        sandbox.faults.add(Fault(FaultKind.ANSWER, "get-metadata", body=older))
        with MailStoreServer(
            sandbox.host, port=sandbox.port, password="admin", fingerprint=sandbox.fingerprint
        ) as server:
            report = server.check_compatibility()
    assert report.only_on_server == ["GetWeather"]
    assert set(report.only_here) == INVOKED.keys() - {"GetServerInfo"}
