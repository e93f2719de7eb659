"""Storage as a whole: backup, internal databases and the master key."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, JsonValue

from mailstore.models.base import Request

# -------------------------------------------------------------------------------------- requests


class MaintainFileSystemDatabases(Request[JsonValue]):
    """Rebuild all internal databases by a backup and restore of each.

    The result is not publicly documented.
    """


class RefreshAllStoreStatistics(Request[JsonValue]):
    """Count messages and sizes of all attached archive stores anew.

    The result is not publicly documented.
    """


class RetryOpenStores(Request[JsonValue]):
    """Try again to open the archive stores that could not be opened.

    The result is not publicly documented.
    """


class CreateBackup(Request[JsonValue]):
    """Write a backup of the whole archive to a directory.

    The result is not publicly documented.
    """

    since: ClassVar[str | None] = "11 at the latest"
    tutorial_required: ClassVar[frozenset[str]] = frozenset({"exclude_search_indexes"})

    path: Annotated[str, Field(min_length=1)]
    """Directory to write to, on the server."""

    exclude_search_indexes: bool | None = None
    """Whether to leave out the search indexes; they can be rebuilt."""


class CompactMasterDatabase(Request[JsonValue]):
    """Compact the master database.

    The result is not publicly documented.
    """


class RenewMasterKey(Request[JsonValue]):
    """Renew the master key, which protects the encryption keys.

    The result is not publicly documented.
    """

    since: ClassVar[str | None] = "11 at the latest"
