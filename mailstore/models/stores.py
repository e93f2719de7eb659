"""Archive stores: list, create, attach, check, repair, upgrade and detach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field, JsonValue

from mailstore.models.base import OpenEnum, Request, Response
from mailstore.models.fields import DeclaredAs, JsonObject, OneOf, SecretLike

# ---------------------------------------------------------------------------------- enumerations


class StoreType(OpenEnum):
    """Where an archive store keeps its data."""

    FILE_SYSTEM_INTERNAL = "FileSystemInternal"
    """Internal store: a Firebird database and files."""

    SQL_SERVER = "SQLServer"
    """External store with its database on Microsoft SQL Server."""

    POSTGRESQL = "PostgreSQL"
    """External store with its database on PostgreSQL."""

    FILE_SYSTEM_STANDARD = "FileSystemStandard"
    """Legacy: a name of 2014 and 2015 that later servers no longer list."""

    FILE_SYSTEM_ADVANCED = "FileSystemAdvanced"
    """Legacy: a name of 2014 and 2015 that later servers no longer list."""

    FILE_SYSTEM_FLAT = "FileSystemFlat"
    """Legacy: a name of 2014 that later servers no longer list."""


StoreTypeText: TypeAlias = Literal[
    "FileSystemInternal",
    "SQLServer",
    "PostgreSQL",
    "FileSystemStandard",
    "FileSystemAdvanced",
    "FileSystemFlat",
]
StoreTypeLike: TypeAlias = Annotated[StoreType | StoreTypeText, OneOf(StoreType)]
"""A kind of archive store, as member or text."""


class StoreRequestedState(OpenEnum):
    """The state that an archive store is meant to be in."""

    CURRENT = "current"
    """Open, and new messages are archived here."""

    NORMAL = "normal"
    """Open and writable, but new messages go elsewhere."""

    WRITE_PROTECTED = "writeProtected"
    """Open for reading; nothing can be deleted, moved or renamed."""

    DISABLED = "disabled"
    """Closed; users do not see its content."""


StoreRequestedStateText: TypeAlias = Literal["current", "normal", "writeProtected", "disabled"]
StoreRequestedStateLike: TypeAlias = Annotated[
    StoreRequestedState | StoreRequestedStateText, OneOf(StoreRequestedState)
]
"""A state for an archive store, as member or text."""


# --------------------------------------------------------------------------------------- results


class StoreInfo(Response):
    """An attached archive store."""

    id: int
    """Identifier of the store."""

    name: str
    """Display name."""

    type: StoreType | None = None
    """Kind of store; some servers do not tell."""

    requested_state: StoreRequestedState
    """The state that the store is meant to be in; see `error` for whether it is."""

    error: str | None = None
    """Why the store could not be opened; `None` when all is well."""

    statistics_count: int | None = None
    """Number of messages."""

    statistics_size: int | None = None
    """Size in bytes."""

    needs_upgrade: bool
    """Whether the database has an outdated format: `UpgradeStore`."""

    search_indexes_need_rebuild: bool
    """Whether at least one search index must be rebuilt."""

    database_path: str | None = None
    """Directory of the database, on the server."""

    content_path: str | None = None
    """Directory of message headers and contents, on the server."""

    index_path: str | None = None
    """Directory of the search indexes, on the server."""

    database_name: str | None = None
    """Name of the database; external stores only."""

    server_name: str | None = None
    """Database server; external stores only."""

    user_name: str | None = None
    """Account on the database server; external stores only."""


class StoreAutoCreateConfiguration(Response):
    """When the server creates a new archive store by itself.

    The members are not publicly documented; all of them are kept. To change one, read the
    configuration, change it and write all of it back.
    """


StoreAutoCreateConfigurationLike: TypeAlias = Annotated[
    StoreAutoCreateConfiguration | Mapping[str, JsonValue], JsonObject(StoreAutoCreateConfiguration)
]
"""The settings for automatic creation, as model or mapping."""


# -------------------------------------------------------------------------------------- requests

StoreId: TypeAlias = Annotated[int, Field(ge=0)]
"""Identifier of an archive store."""

StoreName: TypeAlias = Annotated[str, Field(min_length=1)]
"""Display name of an archive store."""


class GetStores(Request[list[StoreInfo]]):
    """List the attached archive stores."""

    include_size: Annotated[bool, DeclaredAs(nullable=True)] = True
    """Whether to tell the size of each store, which can take a while."""


class CreateStore(Request[JsonValue]):
    """Create an archive store and attach it.

    The result is not publicly documented.
    """

    tutorial_defaults: ClassVar[dict[str, Any]] = {"name": None}

    name: StoreName
    """Display name, for example a year."""

    type: StoreTypeLike | None = None
    """Kind of store."""

    database_path: str | None = None
    """Directory on the server for folders and metadata of messages; internal stores only."""

    content_path: str | None = None
    """Directory on the server for message headers and contents."""

    index_path: str | None = None
    """Directory on the server for the search indexes."""

    server_name: str | None = None
    """Host name or address of the database server; external stores only."""

    user_name: str | None = None
    """Account on the database server; external stores only."""

    password: SecretLike | None = None
    """Password of that account."""

    database_name: str | None = None
    """Database for folders and metadata of messages; external stores only."""

    requested_state: StoreRequestedStateLike | None = None
    """State to put the store into once it is attached."""


class AttachStore(Request[JsonValue]):
    """Attach an archive store that exists already.

    The result is not publicly documented.
    """

    # Optional until 2018, hence the default in the tutorial's client.
    tutorial_defaults: ClassVar[dict[str, Any]] = {"type": None}

    name: StoreName
    """Display name."""

    type: StoreTypeLike
    """Kind of store."""

    database_path: str | None = None
    """Directory on the server with folders and metadata of messages; internal stores only."""

    content_path: str | None = None
    """Directory on the server with message headers and contents."""

    index_path: str | None = None
    """Directory on the server with the search indexes."""

    server_name: str | None = None
    """Host name or address of the database server; external stores only."""

    user_name: str | None = None
    """Account on the database server; external stores only."""

    password: SecretLike | None = None
    """Password of that account."""

    database_name: str | None = None
    """Database with folders and metadata of messages; external stores only."""

    requested_state: StoreRequestedStateLike | None = None
    """State to put the store into once it is attached."""


class SetStoreProperties(Request[None]):
    """Change the directories or the database connection of an archive store."""

    id: StoreId
    """Identifier of the store."""

    type: StoreTypeLike | None = None
    """Kind of store."""

    database_path: str | None = None
    """Directory on the server with folders and metadata of messages; internal stores only."""

    content_path: str | None = None
    """Directory on the server with message headers and contents."""

    index_path: str | None = None
    """Directory on the server with the search indexes."""

    server_name: str | None = None
    """Host name or address of the database server; external stores only."""

    user_name: str | None = None
    """Account on the database server; external stores only."""

    password: SecretLike | None = None
    """Password of that account."""

    database_name: str | None = None
    """Database with folders and metadata of messages; external stores only."""


class SetStoreRequestedState(Request[None]):
    """Change the state that an archive store is meant to be in."""

    tutorial_required: ClassVar[frozenset[str]] = frozenset({"requested_state"})

    id: StoreId
    """Identifier of the store."""

    requested_state: StoreRequestedStateLike | None = None
    """The new state. What leaving it out does is not publicly documented."""


class RenameStore(Request[None]):
    """Change the display name of an archive store."""

    id: StoreId
    """Identifier of the store."""

    name: StoreName
    """The new display name."""


class DetachStore(Request[None]):
    """Detach an archive store."""

    id: StoreId
    """Identifier of the store."""


class CompactStore(Request[JsonValue]):
    """Compact an archive store.

    The result is not publicly documented.
    """

    id: StoreId
    """Identifier of the store."""


class MergeStore(Request[JsonValue]):
    """Copy the content of one archive store into another.

    The source stays as it is and should be detached afterwards. The result is not
    publicly documented.
    """

    id: StoreId
    """Identifier of the store that receives the content."""

    source_id: StoreId
    """Identifier of the store that the content is read from."""


class RecoverStore(Request[JsonValue]):
    """Rebuild the broken database of an internal archive store from its recovery records.

    The store must be disabled or in an error state, and already have the current format.
    The result is not publicly documented.
    """

    since: ClassVar[str | None] = "11 at the latest"

    id: StoreId
    """Identifier of the store."""

    encryption_key: SecretLike | None = None
    """Encryption key of the store, where its key file is missing."""

    recover_deleted_messages: Annotated[bool, DeclaredAs(nullable=True)] = False
    """Whether to bring back deleted messages, too, as far as the recovery records still have them."""


class RecreateRecoveryRecords(Request[JsonValue]):
    """Write damaged recovery records of an archive store anew.

    Not for external stores that keep the contents of messages in the database. The result
    is not publicly documented.
    """

    since: ClassVar[str | None] = "11 at the latest"

    id: StoreId
    """Identifier of the store."""


class RepairStoreDatabase(Request[JsonValue]):
    """Rebuild the database's own indexes of an archive store.

    For stores with a Firebird database only; `VerifyStore` tells first whether it is
    necessary. The result is not publicly documented.
    """

    since: ClassVar[str | None] = "11 at the latest"

    id: StoreId
    """Identifier of the store."""


class UnlockStore(Request[None]):
    """Unlock an archive store that was attached from another installation of MailStore."""

    since: ClassVar[str | None] = "11 at the latest"

    id: StoreId
    """Identifier of the store."""

    passphrase: SecretLike
    """Product key or recovery key of the other installation."""


class UpgradeStore(Request[JsonValue]):
    """Upgrade an archive store to the current database format.

    Stores with a Firebird database older than version 4 must be upgraded before the server
    is updated to 25.1; 24.2 is the first that can. The result is not publicly documented.
    """

    id: StoreId
    """Identifier of the store."""


class UpgradeStores(Request[JsonValue]):
    """Upgrade all archive stores that need it to the current database format.

    The result is not publicly documented.
    """

    since: ClassVar[str | None] = "a version after 11, at the latest 24.x of August 2024"


class VerifyStore(Request[None]):
    """Check the integrity of an archive store.

    There is no result: the findings are in the log.
    """

    id: StoreId
    """Identifier of the store."""

    include_indexes: bool = True
    """Whether to check the search indexes, too."""


class VerifyStores(Request[None]):
    """Check the integrity of all archive stores.

    There is no result: the findings are in the log.
    """

    since: ClassVar[str | None] = "11 at the latest"

    include_indexes: bool = True
    """Whether to check the search indexes, too."""


class GetStoreAutoCreateConfiguration(Request[StoreAutoCreateConfiguration]):
    """Return the settings for automatic creation of archive stores."""

    since: ClassVar[str | None] = "a version after 11, at the latest 24.x of August 2024"


class SetStoreAutoCreateConfiguration(Request[None]):
    """Replace the settings for automatic creation of archive stores."""

    since: ClassVar[str | None] = "a version after 11, at the latest 24.x of August 2024"

    config: StoreAutoCreateConfigurationLike
    """All of the settings, as `GetStoreAutoCreateConfiguration` returns them."""
