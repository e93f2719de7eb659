"""Folders of the archive: how large they are, what is below them, moving and tidying up."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field, JsonValue

from mailstore.models.base import Request, Response

# --------------------------------------------------------------------------------------- results


class FolderStatistics(Response):
    """How much is in one archive folder."""

    folder: str
    """Archive folder, levels separated by ``/``."""

    size: int
    """Size in bytes."""

    count: int | None = None
    """Number of messages. The name is provisional, known from a single script."""


# -------------------------------------------------------------------------------------- requests

FolderPath: TypeAlias = Annotated[str, Field(min_length=1)]
"""Path of an archive folder, levels separated by ``/``."""


class GetFolderStatistics(Request[list[FolderStatistics]]):
    """List every archive folder with its size.

    Slow on large archives, where the call becomes a task.
    """


class GetChildFolders(Request[JsonValue]):
    """Return the folders below an archive folder.

    The result is not publicly documented. The compliance settings can limit it to the first level.
    """

    folder: FolderPath | None = None
    """Archive folder to start from; the root, which has the archives of the users, if left out."""

    max_levels: Annotated[int, Field(ge=1)] | None = None
    """Number of levels to return, 1 or more; all levels if left out."""


class MoveFolder(Request[None]):
    """Move or rename an archive folder.

    The first level is the archive of a user: moving ``johndoe`` to ``john.doe`` renames it.
    """

    from_folder: FolderPath
    """Archive folder as it is called so far, levels separated by ``/``."""

    to_folder: FolderPath
    """Path from now on, not the folder to move it into."""


class DeleteEmptyFolders(Request[JsonValue]):
    """Delete archive folders that hold no messages.

    The result is not publicly documented. The call may become a task.
    """

    folder: FolderPath | None = None
    """Archive folder to tidy up, with all below it; the whole archive if left out."""
