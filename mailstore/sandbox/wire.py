"""The answers of the server, byte for byte: heads, envelopes and error pages.

The form is that of the answers that MailStore published: a byte order mark, two
blanks for each level, CR LF between the lines, none at the end. A test holds it
against the published length of an answer.
"""

from __future__ import annotations

import codecs
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

from pydantic import JsonValue
from pydantic_core import to_json

from mailstore.sandbox.behaviour import Behaviour
from mailstore.sandbox.registry import Failed

SERVER = "Microsoft-HTTPAPI/2.0"
"""The ``Server`` of every answer: Windows itself, which the service listens through."""

_DAY = 86_400


@dataclass(frozen=True)
class Answer:
    """An answer, ready to be sent."""

    status: int
    """HTTP status."""

    body: bytes
    """The body."""

    headers: dict[str, str] = field(default_factory=dict[str, str])
    """All header fields, in their order on the wire."""

    closes: bool = False
    """Whether the connection is closed after it."""

    def head(self) -> bytes:
        """Return the status line and the header fields."""
        lines = [f"HTTP/1.1 {self.status} {_phrase(self.status)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.closes:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", errors="replace")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def json_bytes(value: object, *, escape_non_ascii: bool = False) -> bytes:
    """Return a JSON value as the server writes it."""
    text = to_json(value, indent=2, ensure_ascii=escape_non_ascii)
    # Line feeds inside of texts are escaped, those that are left are line ends.
    return codecs.BOM_UTF8 + text.replace(b"\n", b"\r\n")


def json_answer(value: object, behaviour: Behaviour) -> Answer:
    """Return the answer with a JSON value."""
    body = json_bytes(value, escape_non_ascii=behaviour.escape_non_ascii)
    now = time.time()
    headers = {
        "Cache-Control": "no-cache,private,no-store,must-revalidate,max-stale=0,post-check=0,pre-check=0",
        "Pragma": "no-cache",
        "Content-Length": str(len(body)),
        "Content-Type": behaviour.content_type,
        "Expires": formatdate(now - _DAY, usegmt=True),
        "Server": SERVER,
        "Date": formatdate(now, usegmt=True),
    }
    return Answer(200, body, headers)


def page(
    status: int, title: str, sentence: str, *, headers: dict[str, str] | None = None, closes: bool = False
) -> Answer:
    """Return the answer with a small HTML page, as Windows sends it for errors of HTTP.

    The real server's pages for 401 and 404 are not publicly known.
    """
    body = "\r\n".join(
        [
            '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN""http://www.w3.org/TR/html4/strict.dtd">',
            f"<HTML><HEAD><TITLE>{title}</TITLE>",
            '<META HTTP-EQUIV="Content-Type" Content="text/html; charset=us-ascii"></HEAD>',
            f"<BODY><h2>{title}</h2>",
            f"<hr><p>HTTP Error {status}. {sentence}</p>",
            "</BODY></HTML>",
            "",
        ]
    ).encode("ascii")
    return plain_answer(status, body, {"Content-Type": "text/html; charset=us-ascii", **(headers or {})}, closes=closes)


def plain_answer(status: int, body: bytes, headers: dict[str, str], *, closes: bool = False) -> Answer:
    """Return an answer with any body; length, server and date are added where they are not given."""
    given = {name.lower() for name in headers}
    common = {"Content-Length": str(len(body)), "Server": SERVER, "Date": formatdate(usegmt=True)}
    missing = {name: value for name, value in common.items() if name.lower() not in given}
    return Answer(status, body, headers | missing, closes)


def envelope(
    *,
    status_code: str = "succeeded",
    error: JsonValue = None,
    token: str | None = None,
    status_version: int = 2,
    percent_progress: int | None = None,
    status_text: str | None = None,
    result: JsonValue = None,
    log_output: str | None = None,
) -> dict[str, JsonValue]:
    """Return a status envelope; the defaults are those of a call that was finished at once."""
    return {
        "error": error,
        "token": token,
        "statusVersion": status_version,
        "statusCode": status_code,
        "percentProgress": percent_progress,
        "statusText": status_text,
        "result": result,
        "logOutput": log_output,
    }


def error_member(failed: Failed, function: str) -> dict[str, JsonValue]:
    """Return the ``error`` of an envelope."""
    return {"message": failed.message, "details": failed.details(function)}


def failed_envelope(failed: Failed, function: str) -> dict[str, JsonValue]:
    """Return the envelope of a call that failed at once."""
    return envelope(status_code="failed", error=error_member(failed, function))
