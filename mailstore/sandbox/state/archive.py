"""Folders of the archive and the messages in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(slots=True)
class Message:
    """An archived message."""

    store_id: int
    """Archive store that holds it."""

    number: int
    """Number within that store."""

    size: int
    """Size in bytes."""

    subject: str
    """Subject."""

    received: datetime
    """When it was received, aware."""

    archived: datetime
    """When it was archived, aware."""

    sender: str = ""
    """E-mail address of the sender."""

    recipient: str = ""
    """E-mail address of the recipient."""

    @property
    def id(self) -> str:
        """Identifier as the API writes it: store number, colon, message number."""
        return f"{self.store_id}:{self.number}"


@dataclass
class Folder:
    """An archive folder."""

    path: str
    """Path, levels separated by ``/``."""

    messages: list[Message] = field(default_factory=list[Message], repr=False)
    """Messages directly in it, oldest first."""

    @property
    def size(self) -> int:
        """Size of these messages in bytes."""
        return sum(message.size for message in self.messages)


def parents(path: str) -> Iterator[str]:
    """Yield the paths above a path, the first level first."""
    levels = path.split("/")
    for count in range(1, len(levels)):
        yield "/".join(levels[:count])


def is_within(path: str, folder: str) -> bool:
    """Return whether a path is a folder or lies below it."""
    return path == folder or path.startswith(f"{folder}/")


# ----------------------------------------------------------------------------------- the example

_SUBJECTS = (
    "Invoice {number}",
    "Re: Offer {number}",
    "Meeting on Thursday",
    "Your order {number} has been shipped",
    "Minutes of the meeting",
    "Re: Re: Holiday plan",
    "Newsletter {number}",
    "Grüße aus Zürich",
)

# Path, store, number of messages, age of the newest and of the oldest in days. Store 3 has 1249 messages.
_FOLDERS = (
    ("ann.lee/Microsoft Outlook/Inbox", 1, 180, 900, 1400),
    ("ann.lee/Microsoft Outlook/Inbox", 3, 211, 0, 320),
    ("ann.lee/Microsoft Outlook/Sent Items", 3, 96, 1, 300),
    ("ann.lee/Microsoft Outlook/Deleted Items", 3, 0, 0, 0),
    ("jane.roe/IMAP jane.roe@example.com/INBOX", 2, 240, 330, 890),
    ("jane.roe/IMAP jane.roe@example.com/INBOX", 3, 305, 0, 325),
    ("jane.roe/IMAP jane.roe@example.com/Sent", 3, 122, 0, 310),
    ("john.doe/IMAP john.doe@example.com/INBOX", 1, 120, 910, 1450),
    ("john.doe/IMAP john.doe@example.com/INBOX", 2, 160, 340, 880),
    ("john.doe/IMAP john.doe@example.com/INBOX", 3, 287, 0, 328),
    ("john.doe/IMAP john.doe@example.com/INBOX/Projects/Alpine", 3, 64, 5, 200),
    ("john.doe/IMAP john.doe@example.com/Sent", 3, 103, 0, 290),
    ("john.doe/IMAP john.doe@example.com/Drafts", 3, 0, 0, 0),
    # Somebody who left: the user is gone, the archive is not.
    ("tom.left/Outlook/Inbox", 1, 85, 1000, 1500),
    ("zoe.mueller/IMAP zoe.mueller@example.com/INBOX", 3, 61, 0, 120),
)


def example_folders(now: datetime) -> dict[str, Folder]:
    """Return folders of a few users with messages in stores 1 to 3, the newest a few minutes old."""
    folders: dict[str, Folder] = {}
    numbers: Counter[int] = Counter()
    for path, store, count, newest, oldest in _FOLDERS:
        folder = add_folder(folders, path)
        step = timedelta(days=oldest - newest) / max(count, 1)
        for index in range(count, 0, -1):
            numbers[store] += 1
            folder.messages.append(
                _example_message(store, numbers[store], now - timedelta(days=newest) - step * index, path)
            )
    return folders


def _example_message(store: int, number: int, received: datetime, path: str) -> Message:
    owner = path.partition("/")[0]
    return Message(
        store_id=store,
        number=number,
        size=1_800 + number * 7_919 % 96_000,
        subject=_SUBJECTS[number % len(_SUBJECTS)].format(number=20_000 + number),
        received=received,
        archived=received + timedelta(minutes=4),
        sender="info@example.org" if number % 3 else "newsletter@example.net",
        recipient=f"{owner}@example.com",
    )


def add_folder(folders: dict[str, Folder], path: str) -> Folder:
    """Return the folder of this path, which is created where it is missing, and so are those above it."""
    for each in (*parents(path), path):
        folders.setdefault(each, Folder(each))
    return folders[path]


def messages_in(folders: Iterable[Folder], store_id: int) -> Iterator[tuple[Folder, Message]]:
    """Yield the messages of a store with the folders that they are in."""
    for folder in folders:
        for message in folder.messages:
            if message.store_id == store_id:
                yield folder, message
