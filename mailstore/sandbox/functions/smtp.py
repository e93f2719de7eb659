"""SMTP settings, and sending messages with them. No message leaves the sandbox: they go to `World.outbox`."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from mailstore.models.smtp import GetSmtpSettings, SetSmtpSettings, SmtpSettings, TestSmtpSettings
from mailstore.sandbox.registry import Failed, Step, Steps, answers
from mailstore.sandbox.state import Mail, World


@answers(GetSmtpSettings)
def get_smtp_settings(world: World, request: GetSmtpSettings) -> SmtpSettings:
    """Return the settings; their password is null. All other members are made up."""
    return SmtpSettings.model_validate(world.smtp | {"password": None})


@answers(SetSmtpSettings)
def set_smtp_settings(world: World, request: SetSmtpSettings) -> None:
    """Replace the settings. A password of null takes away the old one, so that nothing can be sent."""
    world.smtp = request.to_wire()["settings"]


@answers(TestSmtpSettings)
def test_smtp_settings(world: World, request: TestSmtpSettings) -> Steps[JsonValue]:
    """Send a message to the recipient of notifications. The result is null."""
    recipient = _first(world.smtp, "to", "recipient")
    yield from send(world, Mail([recipient] if recipient else [], "MailStore Server: test message", "It works."))
    return None


def send(world: World, mail: Mail) -> Iterator[Step]:
    """Send a message, step by step.

    Raises:
        Failed: There is no mail server, or it would refuse the message. As the members of the settings are
            not publicly known, any that begins like ``server`` and ``user`` is taken for the one meant.
    """
    server = _first(world.smtp, "server", "host")
    if server is None:
        raise Failed("No SMTP server is configured.")
    yield Step(f"Connecting to {server}...", percent=0)
    if _first(world.smtp, "user") and not world.smtp.get("password"):
        raise Failed("5.7.8 Authentication failed: the user name or password is incorrect.")
    if not mail.recipients:
        raise Failed("No recipient is configured.")
    yield Step(f"Sending a message to {', '.join(mail.recipients)}...", percent=50)
    world.outbox.append(mail)
    yield Step("The message has been sent.", percent=100)


def _first(settings: dict[str, JsonValue], *beginnings: str) -> str | None:
    """Return the first text that is not empty among the members whose names begin like this."""
    return next(
        (
            value
            for name, value in settings.items()
            if name.lower().startswith(beginnings) and isinstance(value, str) and value
        ),
        None,
    )
