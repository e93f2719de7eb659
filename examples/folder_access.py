"""Who may do what in which archive folder.

    python examples/folder_access.py

Set MAILSTORE_HOST, MAILSTORE_PASSWORD and, for a self-signed certificate, MAILSTORE_FINGERPRINT.
The exit code is 1 when a user could not be read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from mailstore import MailStoreError, MailStoreServer
from mailstore.models import GetUserInfo, UserInfo


def users(server: MailStoreServer) -> Iterator[UserInfo | MailStoreError]:
    """Read all users with all their details, sixteen at a time."""
    for outcome in server.run_many(GetUserInfo(user_name=user.user_name) for user in server.get_users()):
        yield outcome.error or outcome.result


def main() -> int:
    """Print a line for each folder and user."""
    access: list[tuple[str, str, str]] = []
    failed = False
    with MailStoreServer.from_env() as server:
        for user in users(server):
            if isinstance(user, MailStoreError):
                print(user, file=sys.stderr)
                failed = True
                continue
            for entry in user.privileges_on_folders or []:  # absent for administrators
                access.append((entry.folder, user.user_name, ", ".join(entry.privileges)))
    for folder, user_name, privileges in sorted(access):
        print(f"{folder:<24} {user_name:<24} {privileges}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
