"""Compliance: legal hold, the audit log, and retention policies."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import JsonValue, ValidationError

from mailstore.models.compliance import (
    AuditActivity,
    ComplianceConfiguration,
    GetComplianceConfiguration,
    GetRetentionPolicies,
    ProcessRetentionPolicies,
    RetentionPeriodInterval,
    RetentionPolicy,
    RetentionReferenceDateType,
    SetComplianceConfiguration,
    SetRetentionPolicies,
)
from mailstore.sandbox.registry import Failed, Step, Steps, answers
from mailstore.sandbox.state import Folder, Message, World

_AT_ONCE = 100
"""Messages that a step deletes."""
_LONGEST = timedelta(days=1000 * 365)
"""A period that is longer than any message is old."""


@answers(GetComplianceConfiguration)
def get_compliance_configuration(world: World, request: GetComplianceConfiguration) -> ComplianceConfiguration:
    """Return the settings as they were written."""
    return ComplianceConfiguration.model_validate(world.compliance)


@answers(SetComplianceConfiguration)
def set_compliance_configuration(world: World, request: SetComplianceConfiguration) -> None:
    """Replace the settings."""
    world.compliance = request.to_wire()["config"]
    world.audit(AuditActivity.COMPLIANCE_CHANGE_SETTINGS, "The compliance settings were changed.")


def check_no_legal_hold(world: World) -> None:
    """Refuse to delete messages while legal hold is on."""
    if world.compliance.get("legalHoldEnabled"):
        raise Failed("Messages cannot be deleted because legal hold is enabled.")


@answers(GetRetentionPolicies)
def get_retention_policies(world: World, request: GetRetentionPolicies) -> list[RetentionPolicy]:
    """List the policies as they were written."""
    return _policies(world.retention)


@answers(SetRetentionPolicies)
def set_retention_policies(world: World, request: SetRetentionPolicies) -> None:
    """Replace the policies: a list, one policy, or an object with a list in one of its members.

    Which of these the real server wants is not publicly known.
    """
    policies = _listed(request.to_wire()["config"])
    if policies is None:
        raise Failed("The configuration holds no retention policies.")
    try:
        _policies(policies)
    except ValidationError as error:
        raise Failed("The retention policies are not valid.", note=str(error)) from None
    world.retention = policies
    world.audit(AuditActivity.RETENTION_POLICIES_UPDATE, "The retention policies were changed.")


def _listed(config: JsonValue) -> JsonValue:
    """Return the list of policies in whatever form it was written; `None` where there is none."""
    if not isinstance(config, dict):
        return config
    return [config] if "name" in config else next((value for value in config.values() if isinstance(value, list)), None)


def _policies(policies: JsonValue) -> list[RetentionPolicy]:
    return [RetentionPolicy.model_validate(policy) for policy in policies] if isinstance(policies, list) else []


@answers(ProcessRetentionPolicies)
def process_retention_policies(world: World, request: ProcessRetentionPolicies) -> Steps[JsonValue]:
    """Delete what is older than the policies in force want it, a hundred messages at a time. The result is null.

    Messages in stores that are write-protected stay. Nothing happens while legal hold is on.
    """
    check_no_legal_hold(world)
    world.audit(AuditActivity.RETENTION_POLICIES_PROCESS_START, "The processing of retention policies was started.")
    policies = [policy for policy in _policies(world.retention) if policy.enabled]
    yield Step(f"{len(policies)} retention policies are about to be processed.", percent=0)
    for number, policy in enumerate(policies):
        yield Step(f"Processing retention policy '{policy.name}'...", percent=100 * number // len(policies))
        due = _due(world, policy) if policy.delete else []
        deleted = 0
        for begin in range(0, len(due), _AT_ONCE):
            deleted += _delete(world, policy, due[begin : begin + _AT_ONCE])
            yield Step(f"  {deleted} messages deleted...")
        yield Step(f"  {deleted} messages deleted.")
    yield Step("Finished.", percent=100)
    return None


def _due(world: World, policy: RetentionPolicy) -> list[tuple[Folder, Message]]:
    """Return the messages whose time is over."""
    if policy.period is None or policy.period < 1:
        return []
    end = _earlier(world.now(), policy.period, policy.period_interval or RetentionPeriodInterval.YEAR)
    by_archive_date = policy.reference_date_type == RetentionReferenceDateType.ARCHIVE_DATE
    return [
        (folder, message)
        for folder in world.folders.values()
        for message in folder.messages
        if (message.archived if by_archive_date else message.received) < end and _concerns(policy, folder, message)
    ]


def _concerns(policy: RetentionPolicy, folder: Folder, message: Message) -> bool:
    criteria = policy.search_criteria
    if criteria is None:
        return True
    if folder.path.partition("/")[0] in (criteria.excluded_archives or ()):
        return False
    wanted = ((criteria.from_, message.sender), (criteria.to, message.recipient), (criteria.query, message.subject))
    return all((text or "").lower() in value.lower() for text, value in wanted)


def _earlier(moment: datetime, count: int, interval: RetentionPeriodInterval) -> datetime:
    """Return the moment so many days, months or years before; the last day of a shorter month at the latest."""
    if interval == RetentionPeriodInterval.DAY:
        return moment - timedelta(days=min(count, _LONGEST.days))
    months = moment.year * 12 + moment.month - 1 - count * (1 if interval == RetentionPeriodInterval.MONTH else 12)
    if months < 12:
        return moment - _LONGEST
    first = moment.replace(year=months // 12, month=months % 12 + 1, day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    return min(first + timedelta(days=moment.day - 1), following - timedelta(days=1))


def _delete(world: World, policy: RetentionPolicy, due: list[tuple[Folder, Message]]) -> int:
    deleted = 0
    for folder, message in due:
        # Between two steps, others may have deleted or closed away the message.
        if world.is_writable(message) and message in folder.messages:
            world.delete(folder, message)
            deleted += 1
            world.audit(
                AuditActivity.RETENTION_POLICIES_MESSAGE_DELETE,
                f"Message '{message.id}' in '{folder.path}' was deleted: {policy.name}",
            )
    return deleted
