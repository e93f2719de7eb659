from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailstore import MailStoreServer
from mailstore.models import JobResultState, WorkerResultState
from mailstore.sandbox import Fault, FaultKind, Sandbox
from tests.cli.processes import environment, run_python

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def server(sandbox: Sandbox) -> Iterator[MailStoreServer]:
    with MailStoreServer(
        sandbox.host, port=sandbox.port, password=sandbox.password, fingerprint=sandbox.fingerprint
    ) as server:
        yield server


def example(name: str, *arguments: str | Path, sandbox: Sandbox | None = None) -> tuple[int, str, str]:
    """Run an example and return its exit code, stdout and stderr."""
    done = run_python(str(EXAMPLES / name), *(str(argument) for argument in arguments), env=environment(sandbox))
    return done.returncode, done.stdout, done.stderr


def lines(text: str) -> list[str]:
    """Return lines with their blanks made one, as columns are for the eye."""
    return [" ".join(line.split()) for line in text.splitlines()]


NAMES = sorted(path.name for path in EXAMPLES.glob("*.py") if not path.name.startswith("test_"))


@pytest.mark.parametrize("name", NAMES)
def test_examples_need_nothing_but_the_environment(name: str, tmp_path: Path) -> None:
    changes = EXAMPLES / "user_changes.jsonl"
    more = {"bulk_user_changes.py": (changes, tmp_path / "out"), "verify_all_stores.py": (tmp_path / "logs",)}
    exit_code, out, err = example(name, *more.get(name, ()))
    assert exit_code in {1, 3}
    assert "the environment variable MAILSTORE_HOST is not set" in out + err


# -------------------------------------------------------------------------------- folder_access


def test_folder_access(sandbox: Sandbox) -> None:
    exit_code, out, err = example("folder_access.py", sandbox=sandbox)
    assert (exit_code, err) == (0, "")
    assert "john.doe john.doe read, write" in lines(out)
    assert "tom.left jane.roe read" in lines(out)
    assert lines(out) == sorted(lines(out))


def test_folder_access_loses_nobody_for_one_who_cannot_be_read(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(FaultKind.HTML, "GetUserInfo"))
    exit_code, out, err = example("folder_access.py", sandbox=sandbox)
    assert exit_code == 1
    assert len(err.splitlines()) == 1
    assert len(out.splitlines()) >= 4


# ------------------------------------------------------------------------- last_run_per_profile


def keep_profile(sandbox: Sandbox, number: int) -> None:
    with sandbox.world.lock:
        sandbox.world.profiles = {number: sandbox.world.profiles[number]}


def test_last_run_per_profile(sandbox: Sandbox) -> None:
    exit_code, out, err = example("last_run_per_profile.py", sandbox=sandbox)
    assert (exit_code, err) == (2, "")
    assert [line.split(":")[0] for line in out.splitlines()] == [
        "CRITICAL Mailbox of Zoë Müller",
        "CRITICAL Mailbox of Jane Roe",
        "WARNING Mailbox of the sales department",
        "OK Mailbox of John Doe",
        "OK Export of the year",
    ]
    assert "overdue, no run at all" in out.splitlines()[0]


@pytest.mark.parametrize(
    ("profile", "hours", "expected"), [(1, 24, 0), (3, 24, 1), (2, 24, 2), (5, 24, 2), (1, 0.5, 2)]
)
def test_last_run_per_profile_has_the_exit_code_of_a_check(
    sandbox: Sandbox, profile: int, hours: float, expected: int
) -> None:
    keep_profile(sandbox, profile)
    assert example("last_run_per_profile.py", "--hours", str(hours), sandbox=sandbox)[0] == expected


def test_last_run_per_profile_takes_an_unknown_state_for_critical(sandbox: Sandbox) -> None:
    keep_profile(sandbox, 1)
    with sandbox.world.lock:
        for run in sandbox.world.profile_runs:
            run.result = WorkerResultState("exploded")
    exit_code, out, _ = example("last_run_per_profile.py", sandbox=sandbox)
    assert exit_code == 2
    assert out.startswith("CRITICAL Mailbox of John Doe: exploded")


def test_last_run_per_profile_knows_nothing_without_the_server(sandbox: Sandbox) -> None:
    sandbox.stop()
    exit_code, out, _ = example("last_run_per_profile.py", sandbox=sandbox)
    assert exit_code == 3
    assert out.startswith("UNKNOWN")


# ---------------------------------------------------------------------------- verify_all_stores


def test_verify_all_stores(sandbox: Sandbox, tmp_path: Path) -> None:
    exit_code, out, err = example("verify_all_stores.py", tmp_path / "logs", sandbox=sandbox)
    assert (exit_code, err) == (1, "")
    assert "Messages 003: no errors\n" in out
    assert f"Messages 001: see {tmp_path / 'logs' / 'store-1.log'}\n" in out
    log = (tmp_path / "logs" / "store-3.log").read_text(encoding="utf-8")
    assert log.startswith("Verifying file group #3...\n")
    assert log.endswith("Finished. No errors have been found.\n")


def test_verify_all_stores_goes_on_after_a_failure(sandbox: Sandbox, tmp_path: Path) -> None:
    with sandbox.world.lock:
        del sandbox.world.stores[1]
    sandbox.faults.add(Fault(FaultKind.HTML, "VerifyStore"))
    exit_code, out, _ = example("verify_all_stores.py", tmp_path, sandbox=sandbox)
    assert exit_code == 1
    assert "Messages 002: VerifyStore on" in out
    assert "Messages 003: no errors" in out


def test_verify_all_stores_without_rich(sandbox: Sandbox, tmp_path: Path) -> None:
    program = (
        f"import runpy, sys; sys.modules['rich.progress'] = None; sys.argv = ['example', {str(tmp_path)!r}];"
        f"runpy.run_path({str(EXAMPLES / 'verify_all_stores.py')!r}, run_name='__main__')"
    )
    done = run_python("-c", program, env=environment(sandbox))
    assert done.stderr == ""
    assert "Messages 003: 100 %\nMessages 003: no errors\n" in done.stdout


# ---------------------------------------------------------------------------- bulk_user_changes


def test_bulk_user_changes(sandbox: Sandbox, server: MailStoreServer, tmp_path: Path) -> None:
    outcomes = tmp_path / "outcomes.jsonl"
    changes = EXAMPLES / "user_changes.jsonl"
    assert example("bulk_user_changes.py", changes, outcomes, sandbox=sandbox) == (
        0,
        "4 changes, 0 of them failed\n",
        "",
    )
    told = [json.loads(line) for line in outcomes.read_text(encoding="utf-8").splitlines()]
    assert [one["ok"] for one in told] == [True] * 4
    assert [one["request"] for one in told] == [
        json.loads(line) for line in changes.read_text(encoding="utf-8").splitlines()
    ]
    assert server.get_user_info("mary.major").email_addresses == ["mary.major@example.com", "mary@example.com"]
    # Once more: the user is there already, the other changes do no harm.
    exit_code, out, _ = example("bulk_user_changes.py", changes, outcomes, sandbox=sandbox)
    assert (exit_code, out) == (1, "4 changes, 1 of them failed\n")


def test_bulk_user_changes_sends_nothing_of_a_file_with_a_slip(sandbox: Sandbox, tmp_path: Path) -> None:
    changes, outcomes = tmp_path / "changes.jsonl", tmp_path / "outcomes.jsonl"
    good = (EXAMPLES / "user_changes.jsonl").read_text(encoding="utf-8")
    changes.write_text(good + '{"function": "SetUserPrivileges", "userName": "a", "privileges": ["exprot"]}\n')
    exit_code, out, err = example("bulk_user_changes.py", changes, outcomes, sandbox=sandbox)
    assert (exit_code, out) == (2, "")
    assert err.startswith(f"{changes}: line 5: SetUserPrivileges.privileges: each item must be one of")
    assert not outcomes.exists()
    assert len(sandbox.calls) == 0


# ---------------------------------------------------------------------------------- nightly_job


def test_nightly_job(sandbox: Sandbox, server: MailStoreServer) -> None:
    before = len(server.get_jobs())
    exit_code, out, err = example("nightly_job.py", sandbox=sandbox)
    assert (exit_code, err) == (0, "")
    assert out.splitlines()[1] == "last result: none yet"
    (job,) = (job for job in server.get_jobs() if job.name == "Verify all stores")
    assert (job.action, job.owner, job.schedule.time) == ("VerifyStores", "admin", "03:30:00")
    assert job.next_start_date_time_utc is not None
    assert out.splitlines()[0] == f"next start:  {job.next_start_date_time_utc.astimezone():%a %d %b %H:%M}"

    server.run_job_async(job.id)
    exit_code, out, _ = example("nightly_job.py", sandbox=sandbox)
    assert exit_code == 0
    assert out.splitlines()[1].startswith("last result: succeeded, ")
    assert len(server.get_jobs()) == before + 1


def test_nightly_job_that_failed(sandbox: Sandbox, server: MailStoreServer) -> None:
    example("nightly_job.py", sandbox=sandbox)
    (job,) = (job for job in server.get_jobs() if job.name == "Verify all stores")
    server.run_job_async(job.id)
    example("nightly_job.py", sandbox=sandbox)
    with sandbox.world.lock:
        for run in sandbox.world.job_runs:
            run.result = JobResultState.FAILED
    exit_code, out, _ = example("nightly_job.py", sandbox=sandbox)
    assert exit_code == 1
    assert out.splitlines()[1].startswith("last result: failed, ")


# ------------------------------------------------------------------------------------ the others


def test_dask_fleet(sandbox: Sandbox) -> None:
    exit_code, out, err = example("dask_fleet.py", sandbox=sandbox)
    assert (exit_code, err) == (0, "")
    assert "john.doe john.doe@example.com j.doe@example.com" in out.splitlines()
    assert sandbox.calls.count_of("GetUserInfo") == sandbox.calls.count_of("GetUsers") * len(out.splitlines())


def test_test_with_the_sandbox() -> None:
    done = run_python("-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLES / "test_with_the_sandbox.py"))
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout
