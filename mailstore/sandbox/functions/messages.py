"""Messages: listing those of a folder, and deleting one."""

from __future__ import annotations

from mailstore.models.compliance import AuditActivity
from mailstore.models.messages import DeleteMessage, GetMessages, MessageListEntry
from mailstore.sandbox.functions.compliance import check_no_legal_hold
from mailstore.sandbox.functions.lookup import folder_at
from mailstore.sandbox.registry import Failed, answers
from mailstore.sandbox.state import Folder, Message, World


@answers(GetMessages)
def get_messages(world: World, request: GetMessages) -> list[MessageListEntry]:
    """List the messages of a folder, not of those below it; without a folder, all messages of the archive.

    Only ``id`` is publicly known. The other members are made up, so that programs meet members
    that they do not know.
    """
    folders = world.folders.values() if request.folder is None else [folder_at(world, request.folder)]
    return [_entry(message) for folder in folders for message in folder.messages]


def _entry(message: Message) -> MessageListEntry:
    return MessageListEntry.model_validate(
        {
            "id": message.id,
            "subject": message.subject,
            "size": message.size,
            "receivedDateTimeUtc": message.received.replace(microsecond=0, tzinfo=None).isoformat(),
        }
    )


@answers(DeleteMessage)
def delete_message(world: World, request: DeleteMessage) -> None:
    """Delete a message unless legal hold or the state of its store forbids it."""
    if not request.reason.strip():
        raise Failed("A reason is required to delete a message.")
    folder, message = _find(world, request.id)
    check_no_legal_hold(world)
    if not world.is_writable(message):
        raise Failed(f"Store #{message.store_id} is write-protected.")
    world.delete(folder, message)
    world.audit(
        AuditActivity("MessageDelete"), f"Message '{request.id}' in '{folder.path}' was deleted: {request.reason}"
    )


def _find(world: World, id: str) -> tuple[Folder, Message]:  # noqa: A002 - the name in the API
    for folder in world.folders.values():
        for message in folder.messages:
            if message.id == id:
                return folder, message
    raise Failed(f"Message '{id}' does not exist.")
