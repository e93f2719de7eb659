"""What strict type checkers say to the users of the package, and how complete its types are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

FILES = Path(__file__).parent / "typing"
MARK = "# error: "


class Finding(NamedTuple):
    """Something that a type checker reported."""

    file: str
    line: int
    message: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the files, where the settings of this project do not apply."""
    place = tmp_path_factory.mktemp("typing")
    for name in ("right.py", "wrong.py"):
        shutil.copy(FILES / name, place)
    (place / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}', encoding="utf-8")
    return place


def output_of(place: Path, *command: str) -> str:
    """Return what a module of Python prints when it is run as in an activated environment."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "MYPYPATH"}}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    done = subprocess.run(  # noqa: S603 - the checkers
        [sys.executable, "-m", *command],
        cwd=place, env=environment, capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def mypy(place: Path) -> list[Finding]:
    """What mypy reports, strict and without the plug-in of pydantic."""
    settings = ("--strict", "--config-file=", "--cache-dir=cache", "--output=json")
    found = [json.loads(line) for line in output_of(place, "mypy", *settings, "right.py", "wrong.py").splitlines()]
    return [Finding(one["file"], one["line"], one["message"]) for one in found if one["severity"] == "error"]


@pytest.fixture(scope="module")
def basedpyright(place: Path) -> list[Finding]:
    """What basedpyright reports in its strict mode."""
    report: dict[str, Any] = json.loads(output_of(place, "basedpyright", "--outputjson", "right.py", "wrong.py"))
    return [
        Finding(Path(one["file"]).name, one["range"]["start"]["line"] + 1, one["message"])
        for one in report["generalDiagnostics"]
        # In short examples of mistakes, much is not used: that is not the mistake.
        if Path(one["file"]).name == "right.py" or not one.get("rule", "").startswith("reportUnused")
    ]


@pytest.fixture(params=["mypy", "basedpyright"])
def findings(request: pytest.FixtureRequest) -> list[Finding]:
    """What one of the checkers reports."""
    found: list[Finding] = request.getfixturevalue(request.param)
    return found


def test_what_is_right_is_not_reported(findings: list[Finding]) -> None:
    assert [one for one in findings if one.file != "wrong.py"] == []


def test_every_mistake_is_reported_and_nothing_else(findings: list[Finding]) -> None:
    lines = (FILES / "wrong.py").read_text(encoding="utf-8").splitlines()
    marked = {number: line for number, line in enumerate(lines, start=1) if MARK in line}
    reported = {one.line: one.message for one in findings if one.file == "wrong.py"}

    assert len(marked) > 80
    assert {number: line for number, line in marked.items() if number not in reported} == {}
    assert {number: message for number, message in reported.items() if number not in marked} == {}


def test_the_type_of_everything_public_is_known(tmp_path: Path) -> None:
    report = json.loads(
        output_of(tmp_path, "basedpyright", "--verifytypes", "mailstore", "--ignoreexternal", "--outputjson")
    )["typeCompleteness"]
    unclear = [
        f"{symbol['name']}: {problem['message']}"
        for symbol in report["symbols"]
        for problem in symbol["diagnostics"]
        if not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"]
    ]
    assert unclear == []
    assert report["completenessScore"] == 1
    assert report["exportedSymbolCounts"]["withKnownType"] > 1000


def test_the_package_says_that_it_has_types() -> None:
    import mailstore

    assert Path(mailstore.__file__).with_name("py.typed").exists()
