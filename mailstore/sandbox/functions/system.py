"""The server itself: version, licence, service, sessions, status reports and time zones."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import JsonValue

from mailstore.models.profiles import WorkerResultState
from mailstore.models.system import (
    CertificateReference,
    GetActiveSessions,
    GetLicenseInformation,
    GetServerInfo,
    GetServiceConfiguration,
    GetTimeZones,
    LicenseInformation,
    SendStatusReport,
    ServerInfo,
    ServiceConfiguration,
    SetServiceCertificate,
    StatusReportTimespan,
    TimeZoneInfo,
)
from mailstore.sandbox.functions.lookup import zone_named
from mailstore.sandbox.functions.smtp import send
from mailstore.sandbox.registry import Failed, Step, Steps, answers
from mailstore.sandbox.state import Mail, World
from mailstore.sandbox.state.time_zones import time_zones

_THUMBPRINT_DIGITS = 40


@answers(GetServerInfo)
def get_server_info(world: World, request: GetServerInfo) -> ServerInfo:
    """Return what the world says about the server."""
    return ServerInfo(version=world.server_version, machine_name=world.machine_name)


@answers(GetServiceConfiguration)
def get_service_configuration(world: World, request: GetServiceConfiguration) -> ServiceConfiguration:
    """Return how the service is set up."""
    return ServiceConfiguration(
        base_directory=world.service.base_directory,
        debug_log=world.service.debug_log,
        audit_log_location=world.service.audit_log_location,
        server_certificate=CertificateReference(thumbprint=world.service.certificate_thumbprint),
    )


@answers(SetServiceCertificate)
def set_service_certificate(world: World, request: SetServiceCertificate) -> None:
    """Take any thumbprint of the right length for that of a certificate on this computer.

    The sandbox goes on with the certificate that it has shown from the start.
    """
    if len(request.thumbprint) != _THUMBPRINT_DIGITS:
        raise Failed(f"The certificate with the thumbprint '{request.thumbprint}' was not found.")
    world.service.certificate_thumbprint = request.thumbprint.upper()


@answers(GetActiveSessions)
def get_active_sessions(world: World, request: GetActiveSessions) -> JsonValue:
    """List who is logged on. The real form is not publicly known: all members are made up."""
    return [
        {
            "id": session.id,
            "userName": session.user_name,
            "client": session.client.value,
            "machineName": session.machine_name,
            "startDateTimeUtc": session.started.replace(microsecond=0, tzinfo=None).isoformat(),
        }
        for session in world.sessions
    ]


@answers(GetLicenseInformation)
def get_license_information(world: World, request: GetLicenseInformation) -> LicenseInformation:
    """Return the licence and the number of users. Nothing is refused when there are more than it covers."""
    support_ends = world.now() + timedelta(days=world.license.support_days)
    return LicenseInformation(
        named_users=len(world.users),
        max_named_users=world.license.max_named_users,
        licensed_to=world.license.licensed_to,
        product_version=world.server_version,
        support_expiration_date=f"{support_ends:%Y-%m-%d}T00:00:00",
    )


@answers(GetTimeZones)
def get_time_zones(world: World, request: GetTimeZones) -> list[TimeZoneInfo]:
    """List the time zones of Windows, from west to east."""
    return [TimeZoneInfo(id=zone.id, display_name=zone.display_name) for zone in time_zones().values()]


# --------------------------------------------------------------------------------- status reports


@answers(SendStatusReport)
def send_status_report(world: World, request: SendStatusReport) -> Steps[JsonValue]:
    """Send a summary of the runs of profiles in some days. The result is null."""
    timespan = StatusReportTimespan(request.timespan)
    now = world.now().astimezone(zone_named(world, str(request.time_zone_id)))
    begin, end = _days(timespan, now)
    yield Step("Creating the status report...", percent=0)
    subject = f"MailStore Server status report: {begin:%Y-%m-%d} to {end - timedelta(days=1):%Y-%m-%d}"
    yield from send(world, Mail(list(request.recipients), subject, _report(world, begin, end)))
    return None


def _days(timespan: StatusReportTimespan, now: datetime) -> tuple[datetime, datetime]:
    """Return the first day and the day after the last one; weeks begin on Monday."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    monday = today - timedelta(days=today.weekday())
    first = today.replace(day=1)
    match timespan:
        case StatusReportTimespan.YESTERDAY:
            return today - timedelta(days=1), today
        case StatusReportTimespan.THIS_WEEK:
            return monday, today + timedelta(days=1)
        case StatusReportTimespan.LAST_WEEK:
            return monday - timedelta(days=7), monday
        case StatusReportTimespan.THIS_MONTH:
            return first, today + timedelta(days=1)
        case StatusReportTimespan.LAST_MONTH:
            return (first - timedelta(days=1)).replace(day=1), first
        case _:
            return today, today + timedelta(days=1)


def _report(world: World, begin: datetime, end: datetime) -> str:
    runs = [run for run in world.profile_runs if begin <= run.complete < end]
    failed = sum(run.result != WorkerResultState.SUCCEEDED for run in runs)
    lines = [
        f"Server: {world.machine_name}, version {world.server_version}",
        f"Runs of profiles: {len(runs)}, of which not successful: {failed}",
        f"Messages archived: {sum(run.items for run in runs)}",
        f"Users: {len(world.users)} of {world.license.max_named_users}",
        f"Archive stores with an error: {sum(store.problem is not None for store in world.stores.values())}",
    ]
    return "".join(f"{line}\r\n" for line in lines)
