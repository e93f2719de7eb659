"""Taking secrets out of what the server said, before it gets into an error or a log.

Our own texts hold no secrets to begin with. But a server, or something in front of it,
may quote a request back, in whatever spelling it had on its way.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from mailstore.errors import ProtocolError
from mailstore.models.base import MASK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailstore.errors import MailStoreError

_SHORTEST = 4
"""Shorter secrets are not searched for: they would be found in half of all texts."""


class Redactor:
    """Replaces given secrets in texts, in every spelling that they have on the wire."""

    def __init__(self, secrets: Iterable[str], username: str = "") -> None:
        spellings: set[str] = set()
        for secret in secrets:
            # The well-known admin/admin is no secret, and masking it would hide every "admin".
            if len(secret) >= _SHORTEST and secret != username:
                spellings |= _spellings(secret, username)
        longest_first = sorted(spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if spellings else None

    def text(self, text: str) -> str:
        """Return the text with the secrets masked."""
        return self._pattern.sub(MASK, text) if self._pattern is not None else text

    def error(self, error: MailStoreError) -> None:
        """Mask the secrets in everything that an error took from the server; our own words stay as they are."""
        if self._pattern is None:
            return
        if error.details is not None:
            error.details = self.text(error.details)
        if isinstance(error, ProtocolError):
            error.message = self.text(error.message)
            error.body = self.text(error.body) if error.body is not None else None
        if error.envelope is not None:
            error.message = self.text(error.message)
            said = json.dumps(error.envelope.to_wire(), ensure_ascii=False)
            if (masked := self.text(said)) != said:
                error.envelope = type(error.envelope).model_validate_json(masked)
        error.args = (error.message,)


def _spellings(secret: str, username: str) -> set[str]:
    plain = {secret, secret.strip()}
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    quoted = {quote(text, safe=safe) for text in plain for safe in ("", "/")} | {quote_plus(text) for text in plain}
    quoted |= {quote_plus(text) for text in escaped}
    packed = {b64encode(text.encode()).decode("ascii") for text in (secret, f"{username}:{secret}")}
    return {text for text in plain | escaped | quoted | packed if len(text) >= _SHORTEST}
