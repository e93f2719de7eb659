"""Profiles.

A run archives a few new messages into the current store. Unknown, and decided here:
`CreateProfile` returns the identifier of the profile, runs return null, passwords are null in
`GetProfiles`, and the report is text. The messages of failures are made up.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from pydantic import JsonValue

from mailstore.models.profiles import (
    CreateProfile,
    DeleteProfile,
    GetProfiles,
    GetWorkerResultReport,
    GetWorkerResults,
    ProfileInfo,
    ProfileProperties,
    ProfileType,
    RunProfile,
    RunTemporaryProfile,
    SetProfileServerSideExecution,
    WorkerResult,
    WorkerResultState,
)
from mailstore.models.stores import StoreRequestedState
from mailstore.sandbox.functions.jobs import local_time
from mailstore.sandbox.functions.lookup import user_named, zone_named
from mailstore.sandbox.functions.stores import add_messages
from mailstore.sandbox.registry import Failed, Step, Steps, answers
from mailstore.sandbox.state import Message, Profile, ProfileRun, Store, World
from mailstore.sandbox.state.archive import is_within
from mailstore.sandbox.state.profiles import ServerSideExecution, report_of
from mailstore.sandbox.state.stores import PlacedMessage, count

_BLOCK = 10
"""Messages that a run handles in one step."""

_TO_THE_END = frozenset(
    {
        WorkerResultState.SUCCEEDED,
        WorkerResultState.COMPLETED_WITH_WARNINGS,
        WorkerResultState.COMPLETED_WITH_ERRORS,
    }
)
"""Results of runs that are not broken off."""

_KNOWN = frozenset({"name", "owner", "type", "connector", "details", "serverSideExecution"})


def _profile_with(world: World, id: int) -> Profile:  # noqa: A002 - the name in the API
    profile = world.profiles.get(id)
    if profile is None:
        raise Failed(f"Profile #{id} does not exist.")
    return profile


# ----------------------------------------------------------------------------- listing, changing


@answers(GetProfiles)
def get_profiles(world: World, request: GetProfiles) -> list[ProfileInfo]:
    """List the profiles."""
    return [_info(profile) for profile in world.profiles.values()]


def _info(profile: Profile) -> ProfileInfo:
    execution = {
        "automatic": profile.execution.automatic,
        "automaticPauseBetweenExecutions": profile.execution.pause,
        "automaticMaintenanceWindows": profile.execution.maintenance_windows,
    }
    hidden = {"password": None} if "password" in profile.details else {}
    return ProfileInfo.model_validate(
        {
            "id": profile.id,
            "version": profile.version,
            "name": profile.name,
            "owner": profile.owner,
            "type": profile.type,
            "connector": profile.connector,
            "details": profile.details | hidden,
            "serverSideExecution": {name: value for name, value in execution.items() if value is not None},
            **profile.more,
        }
    )


@answers(CreateProfile)
def create_profile(world: World, request: CreateProfile) -> JsonValue:
    """Create a profile; without an owner, it belongs to the first administrator."""
    taken = [*world.profiles, *(run.profile_id or 0 for run in world.profile_runs)]
    profile = _described(world, request)
    profile.id = world.next_id("profiles", taken)
    world.profiles[profile.id] = profile
    return profile.id


def _described(world: World, request: CreateProfile | RunTemporaryProfile) -> Profile:
    properties = ProfileProperties.model_validate(request.properties)
    administrator = next((user.user_name for user in world.users.values() if user.is_administrator), "admin")
    owner = user_named(world, properties.owner or administrator).user_name
    members = cast("dict[str, JsonValue]", properties.to_wire())
    profile = Profile(0, properties.name, owner, ProfileType(properties.type), properties.connector)
    profile.details = cast("dict[str, JsonValue]", members["details"])
    profile.more = {name: value for name, value in members.items() if name not in _KNOWN}
    execution = properties.server_side_execution
    if execution is not None:
        profile.execution = ServerSideExecution(
            execution.automatic, execution.automatic_pause_between_executions, execution.automatic_maintenance_windows
        )
    return profile


@answers(SetProfileServerSideExecution)
def set_profile_server_side_execution(world: World, request: SetProfileServerSideExecution) -> None:
    """Change who runs a profile; with runs by hand, what was set for automatic ones stays unless it is given."""
    profile = _profile_with(world, request.id)
    before = profile.execution
    pause, windows = (
        request.automatic_pause_between_executions,
        cast("JsonValue", request.automatic_maintenance_windows),
    )
    if not request.automatic:
        pause = before.pause if pause is None else pause
        windows = before.maintenance_windows if windows is None else windows
    profile.execution = ServerSideExecution(request.automatic, pause, windows)
    profile.version += 1


@answers(DeleteProfile)
def delete_profile(world: World, request: DeleteProfile) -> None:
    """Delete a profile; the results of its runs stay."""
    del world.profiles[_profile_with(world, request.id).id]


# ------------------------------------------------------------------------------------- running


@answers(RunProfile)
def run_profile(world: World, request: RunProfile) -> Steps[JsonValue]:
    """Run a profile. What was archived stays when the run is cancelled."""
    yield from _Run(world, _profile_with(world, request.id)).steps()
    return None


@answers(RunTemporaryProfile)
def run_temporary_profile(world: World, request: RunTemporaryProfile) -> Steps[JsonValue]:
    """Run a profile that is not stored; its result has neither identifier nor name of a profile."""
    yield from _Run(world, _described(world, request)).steps()
    return None


class _Run:
    """A run of a profile, which records itself however it ends."""

    def __init__(self, world: World, profile: Profile) -> None:
        self._world = world
        self._profile = profile
        self._start = world.now()
        self._items = 0
        self._stores: dict[int, Store] = {}
        self._log: list[str] = []

    def steps(self) -> Steps[None]:
        """Carry the run out."""
        result = WorkerResultState.CANCELLED
        try:
            for step in self._export() if self._profile.type == ProfileType.EXPORT else self._archive():
                self._log += (step.log or "").splitlines()
                yield step
            result = self._profile.outcome
        except Failed as failed:
            self._log.append(failed.message)
            broken_off = self._profile.outcome not in _TO_THE_END
            result = self._profile.outcome if broken_off else WorkerResultState.FAILED
            raise
        finally:
            self._record(result)

    def _archive(self) -> Steps[None]:
        world, profile = self._world, self._profile
        yield Step(f"Connecting to {profile.details.get('host') or profile.connector}...", percent=0)
        self._check_outcome()
        total = profile.new_messages
        yield Step(f"{total} new messages are about to be archived in '{profile.folder}'.")
        for first in range(1, total + 1, _BLOCK):
            numbers = range(first, min(first + _BLOCK, total + 1))
            skipped = [number for number in numbers if number % 4 == 0 and not self._is_clean]
            messages = [_new_message(world, profile, number) for number in numbers if number not in skipped]
            store = _current_store(world)
            add_messages(world, store, messages)
            self._stores[store.id] = store
            self._items += len(messages)
            lines = [f"  Message {number} could not be read." for number in skipped]
            lines.append(f"  {self._items} messages archived...")
            yield Step("\n".join(lines), percent=100 * numbers[-1] // total)
        yield Step(f"Finished. {self._items} messages have been archived.", percent=100)

    def _export(self) -> Steps[None]:
        world, profile = self._world, self._profile
        yield Step("Creating a list of messages to be exported...", percent=0)
        self._check_outcome()
        total = sum(len(folder.messages) for path, folder in world.folders.items() if is_within(path, profile.owner))
        yield Step(f"{total} messages are about to be exported.", percent=50)
        yield Step("Finished.", percent=100)

    @property
    def _is_clean(self) -> bool:
        return self._profile.outcome == WorkerResultState.SUCCEEDED

    def _check_outcome(self) -> None:
        if self._profile.outcome not in _TO_THE_END:
            raise Failed(f"The profile '{self._profile.name}' could not be run.")
        if self._profile.type == ProfileType.IMPORT:
            _current_store(self._world)

    def _record(self, result: WorkerResultState) -> None:
        world, profile = self._world, self._profile
        count(world.folders, self._stores.values())
        stored = profile.id != 0
        world.profile_runs.append(
            ProfileRun(
                world.next_id("profile runs", (run.id for run in world.profile_runs)),
                user_name=profile.owner,
                profile_id=profile.id if stored else None,
                profile_name=profile.name if stored else None,
                start=self._start,
                complete=world.now(),
                result=result,
                items=self._items,
                report=report_of(profile.name, result, self._items, self._log),
            )
        )


def _current_store(world: World) -> Store:
    current = StoreRequestedState.CURRENT
    store = next((store for store in world.stores.values() if store.requested_state == current), None)
    if store is None or not store.is_open:
        raise Failed("There is no open archive store that new messages can be archived in.")
    return store


def _new_message(world: World, profile: Profile, number: int) -> PlacedMessage:
    now = world.now()
    message = Message(
        store_id=0,
        number=number,
        size=2_000 + 137 * number,
        subject=f"New message {number}",
        received=now - timedelta(minutes=1),
        archived=now,
        sender="info@example.org",
        recipient=str(profile.details.get("emailAddress") or ""),
    )
    return PlacedMessage(profile.folder, message)


# ------------------------------------------------------------------------------------- results


@answers(GetWorkerResults)
def get_worker_results(world: World, request: GetWorkerResults) -> list[WorkerResult]:
    """List the runs that ended in the period, in no order."""
    zone = zone_named(world, str(request.time_zone_id))
    start, end = cast("datetime", request.from_including), cast("datetime", request.to_excluding)
    found = [
        run
        for run in world.profile_runs
        if start <= local_time(run.complete, zone) < end
        and request.profile_id in {None, run.profile_id}
        and request.user_name in {None, run.user_name}
    ]
    rows: list[WorkerResult] = []
    # The real server's rows come in no order either; a client must not get used to one.
    for run in sorted(found, key=lambda run: (run.id * 37 % 101, run.id)):
        members = {"profileId": run.profile_id, "profileName": run.profile_name}
        rows.append(
            WorkerResult.model_validate(
                {
                    "id": run.id,
                    "userName": run.user_name,
                    **{name: value for name, value in members.items() if value is not None},
                    "result": run.result,
                    "itemsArchived": run.items,
                    "startTime": local_time(run.start, zone),
                    "completeTime": local_time(run.complete, zone),
                    "machineName": world.machine_name,
                }
            )
        )
    return rows


@answers(GetWorkerResultReport)
def get_worker_result_report(world: World, request: GetWorkerResultReport) -> JsonValue:
    """Return the report of a run as text."""
    run = next((run for run in world.profile_runs if run.id == request.id), None)
    if run is None:
        raise Failed(f"Worker result #{request.id} does not exist.")
    return run.report
