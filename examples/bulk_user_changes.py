"""Make the changes of a file, one JSON object in each line, and write what became of each.

    python examples/bulk_user_changes.py examples/user_changes.jsonl outcomes.jsonl

The whole file is checked first: a slip in the last line, and not even the first is sent.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mailstore import MailStoreServer
from mailstore.pipelines import LinesError, load_requests, write_json_lines


def main() -> int:
    """Make the changes; return 1 if one failed, 2 if the file was wrong."""
    changes, outcomes = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        with changes.open(encoding="utf-8") as lines:
            requests = load_requests(lines)
    except LinesError as error:
        for problem in error.problems:
            print(f"{changes}: {problem}", file=sys.stderr)
        return 2
    with MailStoreServer.from_env() as server, outcomes.open("w", encoding="utf-8") as stream:
        # One at a time: a later line may need what an earlier one did.
        failed = write_json_lines(server.run_many(requests, max_workers=1), stream)
    print(f"{len(requests)} changes, {failed} of them failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
