"""Switches for what is not publicly known about the real server.

The sandbox has to do something where nobody outside has seen what MailStore Server
does. Each default is the best guess; a program that must not depend on the guess is
tested with both positions of a switch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Refusal: TypeAlias = Literal["401", "403", "failed"]
"""How a login is refused: by an HTTP status, or by HTTP 200 with a failed status envelope."""


@dataclass(frozen=True)
class Behaviour:
    """How the sandbox acts where the real server's way is unknown; `dataclasses.replace` changes single switches."""

    cancelled_status: str = "cancelled"
    """``statusCode`` of a task that was cancelled. Unknown: the default is the spelling of job and profile results."""

    cancel_works: bool = True
    """Whether ``cancel-async`` ends a task. Unknown for each function: the server decides if and when."""

    cancel_answer: Literal["status", "succeeded"] = "status"
    """Answer of ``cancel-async``: the task's status at that moment without its log, or an envelope of its own.

    Unknown: no live answer was seen.
    """

    log_replay: Literal["since_version", "since_last_answer", "everything"] = "since_version"
    """Which lines ``get-status`` tells: those after ``lastKnownStatusVersion``, those after the last answer, or all.

    Known is only that an ordinary sequence of polls tells each line once. Unknown: what a
    version brings that is older than the last one, or asked for again.
    """

    token_when_finished_at_once: bool = False
    """Whether a long call that ends before the first answer has a token in that answer all the same. Unknown."""

    token_lifetime: float | None = None
    """Seconds for which the token of a finished task stays known; `None` for as long as the sandbox runs. Unknown."""

    final_status_repeats: bool = True
    """Whether the last status of a task can be asked for more than once. Unknown."""

    every_call_is_long: bool = False
    """Whether calls become tasks that the sandbox would answer at once.

    The real server decides by time, so that under load every call may become a task. Unknown: the limit.
    """

    unknown_function: Literal["404", "failed"] = "404"
    """Answer to a function that does not exist: HTTP 404, or a failed envelope. Unknown."""

    unknown_arguments: Literal["ignored", "refused"] = "ignored"
    """What happens to form fields that the function does not have. Unknown."""

    ignore_case: bool = False
    """Whether the names of functions and arguments are compared without regard to case. Unknown."""

    wrong_login: Refusal = "401"
    """Refusal of a wrong name or password. 401 was reported; official clients are also prepared for an envelope."""

    default_login: Refusal = "401"
    """Refusal of ``admin``/``admin`` on a connection to another name than localhost. Unknown."""

    missing_privilege: Refusal = "401"
    """Refusal of a user who is no administrator or may not use the API. Unknown."""

    realm: str = "MailStore"
    """Realm of the Basic challenge. Unknown."""

    metadata_needs_credentials: bool = False
    """Whether ``get-metadata`` wants a login: not on MailStore Server, as far as code tells; unverified."""

    metadata_by_get: bool = True
    """Whether ``get-metadata`` answers GET, too. Seen on the Service Provider Edition; unknown here."""

    content_type: str = "application/json"
    """``Content-Type`` of the answers. Unknown: whether servers of today add a charset."""

    escape_non_ascii: bool = False
    r"""Whether characters beyond ASCII travel as ``\u`` escapes. Unknown."""
