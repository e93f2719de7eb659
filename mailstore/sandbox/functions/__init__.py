"""What the functions of the API do in the sandbox; importing this package registers them all."""

from mailstore.sandbox.functions import (
    compliance,
    credentials,
    directory,
    folders,
    indexes,
    jobs,
    messages,
    profiles,
    smtp,
    storage,
    stores,
    system,
    users,
)

__all__ = [
    "compliance",
    "credentials",
    "directory",
    "folders",
    "indexes",
    "jobs",
    "messages",
    "profiles",
    "smtp",
    "storage",
    "stores",
    "system",
    "users",
]
