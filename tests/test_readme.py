"""What the README shows is carried out, against the sandbox."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import mailstore
from mailstore import MailStoreServer
from mailstore.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(answer_within=0) as sandbox:
        yield sandbox


@pytest.fixture
def names(sandbox: Sandbox) -> Iterator[dict[str, Any]]:
    """Return what the blocks of the README take for granted."""
    with MailStoreServer(sandbox.host, port=sandbox.port, password="admin", fingerprint=sandbox.fingerprint) as server:
        now = datetime.now(UTC)
        yield {
            "PORT": sandbox.port,
            "PIN": sandbox.fingerprint,
            "server": server,
            "mailstore": mailstore,
            "MailStoreServer": MailStoreServer,
            "VerifyStore": mailstore.models.VerifyStore,
            "names": ["john.doe", "jane.roe", "nobody"],
            "start": now - timedelta(days=7),
            "end": now + timedelta(days=1),
            "my_automation": my_automation,
        }


def my_automation(server: MailStoreServer) -> None:
    """Do what the README's example of a test looks for."""
    server.create_user("jane.doe", "login")
    server.set_user_email_addresses("jane.doe", email_addresses=["jane@example.com"])


def at_the_sandbox(block: str) -> str:
    """Return a block with the addresses of the sandbox in the place of those that stand for a real server."""
    block = block.replace(
        '"archive.example.com", password="…", fingerprint="sha256:9F:86:…"',
        '"127.0.0.1", port=PORT, password="admin", fingerprint=PIN',
    )
    block = block.replace('host="127.0.0.1", port=8463)', 'host="127.0.0.1", port=PORT, fingerprint=PIN)')
    # The sandbox has no function that this version does not know.
    return block.replace('"BrandNewFunction", {"id": 1}', '"GetServerInfo"')


def test_there_are_blocks_to_try() -> None:
    assert len(BLOCKS) >= 7


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.strip().splitlines()[0][:40])
def test_a_block_of_the_readme_works(
    block: str, names: dict[str, Any], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "MAILSTORE_HOST": sandbox.host,
        "MAILSTORE_PORT": str(sandbox.port),
        "MAILSTORE_PASSWORD": "admin",
        "MAILSTORE_FINGERPRINT": sandbox.fingerprint,
    }.items():
        monkeypatch.setitem(os.environ, name, value)
    if "task.cancel()" in block:
        # A task that is over cannot be cancelled: this one is waited for, cancelled too late, and has a result.
        assert "task.result()" in block
    source = at_the_sandbox(block)
    exec(compile(source, "README.md", "exec"), names)  # noqa: S102 - our own README
    if "def test_my_automation" in block:
        names["test_my_automation"]()
    if "mailstore.server.Client(" in block:
        assert names["status"]["result"]["emailAddresses"] == names["status"].result.email_addresses
    assert threading.active_count() < 50


def test_the_readme_has_the_two_commands_of_a_newcomer() -> None:
    lines = README.splitlines()

    assert "python3 -m venv .venv && .venv/bin/pip install '.[cli,sandbox]' && .venv/bin/mailstore demo" in lines
    assert "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .venv/bin/poe check" in lines


def test_files_that_the_readme_links_to_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
