"""Read the details of all users on the workers of a Dask cluster.

    pip install mailstore distributed
    python examples/dask_fleet.py

The cluster here is in this process; give `Client` the address of a scheduler for one of many machines.
"""

from __future__ import annotations

import sys

from distributed import Client, LocalCluster

from mailstore import MailStoreServer
from mailstore.models import GetUserInfo


def main() -> int:
    """Print the e-mail addresses of each user; return 1 if one could not be read."""
    failed = 0
    with (
        LocalCluster(n_workers=2, threads_per_worker=4, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as dask,
        MailStoreServer.from_env() as server,
    ):
        requests = [GetUserInfo(user_name=user.user_name) for user in server.get_users()]
        # Not pure: the same call may bring something else the next time.
        for outcome in server.run_many(requests, executor=dask.get_executor(pure=False)):
            if outcome.ok:
                print(outcome.result.user_name, *outcome.result.email_addresses)
            else:
                print(outcome.error, file=sys.stderr)
                failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
