"""Taking secrets out of what the server said, before it gets into an error or a log.

Our own texts hold no secrets to begin with. But a server, or something in front of it,
may quote a request back, in whatever spelling it had on its way.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING, Any, cast

from mailstore._protocol import QUOTED
from mailstore.errors import MailStoreError, ProtocolError
from mailstore.models.base import MASK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailstore.models.envelope import StatusEnvelope

_SHORTEST = 4
"""Shorter secrets are not searched for: they would be found in half of all texts."""

_NEVER_QUOTED = frozenset({"statusCode", "token"})
"""Members of an envelope that a program needs as they are."""


class Redactor:
    """Replaces given secrets in texts, in every spelling that they may have in an answer."""

    def __init__(self, secrets: Iterable[str], username: str = "") -> None:
        spellings: set[str] = set()
        for secret in secrets:
            bare = secret.strip()
            # The well-known admin/admin is no secret, and masking it would hide every "admin".
            if len(bare) >= _SHORTEST and bare != username:
                spellings |= {bare, _base64(secret), _base64(f"{username}:{secret}")}
        longest_first = sorted(spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_anyhow_written, longest_first))) if spellings else None

    def text(self, text: str) -> str:
        """Return the text with the secrets masked."""
        return self._pattern.sub(MASK, text) if self._pattern is not None else text

    def error(self, error: MailStoreError) -> None:
        """Mask the secrets in everything that an error says, and cut what it quotes to a length fit to be read."""
        error.message = self.text(error.message)
        error.args = (error.message,)
        if error.hint is not None:
            error.hint = self.text(error.hint)
        if error.details is not None:
            # Without an envelope they are the page that came in its place.
            error.details = self.text(error.details)[: None if error.envelope is not None else QUOTED]
        if isinstance(error, ProtocolError) and error.body is not None:
            error.body = self.text(error.body)[:QUOTED]
        if error.envelope is not None:
            error.envelope = self.envelope(error.envelope)

    def envelope(self, status: StatusEnvelope[Any]) -> StatusEnvelope[Any]:
        """Return the envelope of a call without a result, with the secrets masked in what the server says about it."""
        said = status.to_wire()
        masked = {name: member if name in _NEVER_QUOTED else self._member(member) for name, member in said.items()}
        if masked == said:
            return status
        # A result is of no use here, and with a mask in it might not fit its model any more.
        result = status.raw_result if masked.get("result") == said.get("result") else None
        return type(status).model_validate(masked | {"result": None}).model_copy(update={"raw_result": result})

    def _member(self, value: object) -> object:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._member(item) for item in cast("list[object]", value)]
        if isinstance(value, dict):
            return {name: self._member(member) for name, member in cast("dict[str, object]", value).items()}
        return value


# ------------------------------------------------------------- patterns for a text in every spelling

_DEPTH = 3
"""How often a text may have been escaped: JSON in a form, which JSON quotes, which JSON quotes again."""

_PERCENT = rf"%(?:25){{0,{_DEPTH}}}"
_BACKSLASH = rf"(?:\\|{_PERCENT}5C){{1,{1 << _DEPTH}}}"
_AMPERSAND = rf"(?:&|{_PERCENT}26)(?:amp(?:;|{_PERCENT}3B)){{0,{_DEPTH}}}"
_HASH = rf"(?:\#|{_PERCENT}23)"
_SEMICOLON = rf"(?:;|{_PERCENT}3B)"

_PARTS = re.compile(r"\\+|.", re.DOTALL)


def _anyhow_written(secret: str) -> str:
    """Return a pattern for a text in any mixture of the escapes of JSON, URLs and HTML."""
    return "".join(_backslashes(len(part)) if part[0] == "\\" else _character(part) for part in _PARTS.findall(secret))


def _backslashes(n: int) -> str:
    # Each escaping doubles them. Taken one by one, a long run would match in too many ways.
    times = f"{{{n},{n << _DEPTH}}}"
    coded = rf"(?:{_BACKSLASH}u005c|{_AMPERSAND}{_HASH}(?:92|x5c){_SEMICOLON})"
    return rf"(?i:\\{times}|(?:{_PERCENT}5C){times}|{coded}{{{n}}})"


def _character(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    halves = character.encode("utf-16-be", "surrogatepass").hex()
    patterns = [
        re.escape(character),
        "".join(f"{_PERCENT}{byte:02x}" for byte in character.encode("utf-8", "surrogatepass")),
        "".join(f"{_BACKSLASH}u{halves[i : i + 4]}" for i in range(0, len(halves), 4)),
        rf"{_AMPERSAND}{_HASH}(?:{ord(character)}|x{ord(character):x}){_SEMICOLON}",
    ]
    if (named := escape(character)) != character:
        patterns.append(f"{_AMPERSAND}{re.escape(named[1:-1])}{_SEMICOLON}")
    if character == " ":
        patterns += [r"\+", f"{_PERCENT}2B"]
    escaped = json.dumps(character)[1:-1]
    if len(escaped) == 2 and escaped[1] != character:
        patterns.append(_BACKSLASH + escaped[1])
    before = f"(?:{_BACKSLASH})?" if character in '"/' else ""
    return f"(?i:{before}(?:{'|'.join(patterns)}))"


def _base64(text: str) -> str:
    return b64encode(text.encode(errors="surrogatepass")).decode("ascii")
