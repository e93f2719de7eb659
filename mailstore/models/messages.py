"""Messages: listing those of a folder, and deleting one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeAlias

from mailstore.models.base import Request, Response
from mailstore.models.fields import Argument
from mailstore.models.folders import FolderPath

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue

_MESSAGE_ID = re.compile(r"[0-9]+:[0-9]+")

# --------------------------------------------------------------------------------------- results


class MessageListEntry(Response):
    """A message as it stands in the list of a folder. Only its identifier is publicly known."""

    id: str
    """Store number and message number with a colon between them, as `DeleteMessage` wants it."""


# -------------------------------------------------------------------------------------- requests


class WireMessageId(Argument):
    """The identifier of a message: store number, colon, message number."""

    def accept(self, value: object) -> str:
        """Return the identifier."""
        if isinstance(value, str) and _MESSAGE_ID.fullmatch(value):
            return value
        raise ValueError("must be the number of a store and of a message with a colon between them, such as '3:12345'")

    def describe(self) -> JsonSchemaValue:
        """Return the form on the wire."""
        return {"type": "string", "pattern": f"^{_MESSAGE_ID.pattern}$", "examples": ["3:12345"]}


MessageId: TypeAlias = Annotated[str, WireMessageId()]
"""Identifier of a message, such as ``3:12345``."""


class GetMessages(Request[list[MessageListEntry]]):
    """List the messages of an archive folder."""

    tutorial_required: ClassVar[frozenset[str]] = frozenset({"folder"})

    folder: FolderPath | None = None
    """Archive folder, levels separated by ``/``. What leaving it out means is not publicly documented."""


class DeleteMessage(Request[None]):
    """Delete one message from the archive."""

    id: MessageId
    """Number of the archive store and of the message with a colon between them, such as ``3:12345``."""

    reason: str
    """Why the message is deleted; goes to the audit log. Since a version between 9 and 11."""
