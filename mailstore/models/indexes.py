"""Search indexes: list, select and rebuild."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, JsonValue

from mailstore.models.base import Request
from mailstore.models.stores import StoreId

# -------------------------------------------------------------------------------------- requests


class GetStoreIndexes(Request[JsonValue]):
    """List the search indexes of an archive store.

    The result is not publicly documented.
    """

    id: StoreId | None = None
    """Identifier of the store. Older servers want it."""


class RebuildStoreIndex(Request[JsonValue]):
    """Rebuild one search index of an archive store.

    The result is not publicly documented.
    """

    id: StoreId
    """Identifier of the store."""

    folder: Annotated[str, Field(min_length=1)]
    """The user archive that the index belongs to."""


class SelectAllStoreIndexesForRebuild(Request[None]):
    """Mark all search indexes for `RebuildSelectedStoreIndexes`."""

    since: ClassVar[str | None] = "11 at the latest"


class RebuildSelectedStoreIndexes(Request[JsonValue]):
    """Rebuild all search indexes that are marked for it.

    The result is not publicly documented.
    """

    since: ClassVar[str | None] = "11 at the latest"
