"""Answers that have no frame, and statuses that bring nothing new."""

from __future__ import annotations

import json

import pytest

from mailstore import MailStoreServer
from mailstore._protocol import HttpAnswer, parse
from mailstore.errors import ProtocolError
from mailstore.models import CancelAsync, GetMetadata, StatusCode, VerifyStore
from mailstore.sandbox import Fault, FaultKind, Pace, Sandbox

FUNCTIONS: list[dict[str, object]] = [{"name": "GetServerInfo", "args": []}]
FRAMED: dict[str, object] = {"statusCode": "succeeded", "statusVersion": 2, "result": FUNCTIONS}


def answered(body: str) -> HttpAnswer:
    return HttpAnswer(200, {}, body.encode(), 0.0)


@pytest.mark.parametrize("before", ["", " \r\n"])
@pytest.mark.parametrize("told", [FUNCTIONS, FRAMED], ids=["bare", "framed"])
def test_metadata_may_come_with_or_without_a_frame(before: str, told: object) -> None:
    envelope = parse(GetMetadata, answered(before + json.dumps(told)))

    assert envelope.status_code is StatusCode.SUCCEEDED
    assert [function.name for function in envelope.result] == ["GetServerInfo"]


def test_metadata_that_could_not_be_given_is_a_failed_call() -> None:
    failed = {"statusCode": "failed", "statusVersion": 2, "error": {"message": "No.", "details": None}}

    assert parse(GetMetadata, answered(json.dumps(failed))).status_code is StatusCode.FAILED


@pytest.mark.parametrize("body", ["", " ", "null"])
def test_the_answer_to_a_cancellation_may_be_empty(body: str) -> None:
    assert parse(CancelAsync, answered(body)).result is None


def test_the_answer_to_a_cancellation_may_be_any_json() -> None:
    assert parse(CancelAsync, answered('{"accepted": true}')).result == {"accepted": True}


def test_nothing_but_a_cancellation_may_be_answered_by_nothing() -> None:
    with pytest.raises(ProtocolError):
        parse(GetMetadata, answered(""))
    with pytest.raises(ProtocolError):
        parse(VerifyStore, answered("null"))


def test_a_status_that_has_not_changed_is_no_news(sandbox: Sandbox, server: MailStoreServer, pace: Pace) -> None:
    task = server.start(VerifyStore(id=1))
    first = task.status
    assert first is not None
    again = first.model_copy(update={"log_output": None}).model_dump_json().encode()
    stale = sandbox.faults.add(Fault(FaultKind.ANSWER, "get-status", times=3, body=again))
    pace.finish()

    versions = [status.status_version for status in task]

    assert stale.fired == 3
    assert versions[0] == first.status_version
    assert versions == sorted(set(versions)), "each status once"
