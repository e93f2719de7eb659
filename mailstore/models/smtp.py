"""SMTP settings: how the server sends its notifications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, TypeAlias

from pydantic import JsonValue

from mailstore.models.base import Request, Response
from mailstore.models.fields import HiddenStr, JsonObject

# --------------------------------------------------------------------------------------- results


class SmtpSettings(Response):
    """The settings with which the server sends notifications.

    They are read by `GetSmtpSettings` and written, as a whole, by `SetSmtpSettings`. Only
    the password is publicly known; all other members are kept as they come.
    """

    password: HiddenStr | None = None
    """Password of the account on the mail server. Always null when read: fill it in before writing."""


SmtpSettingsLike: TypeAlias = Annotated[SmtpSettings | Mapping[str, JsonValue], JsonObject(SmtpSettings)]
"""Settings for notifications, as model or mapping."""

# -------------------------------------------------------------------------------------- requests


class GetSmtpSettings(Request[SmtpSettings]):
    """Return the settings for sending notifications; their password is always null."""


class SetSmtpSettings(Request[None]):
    """Replace the settings for sending notifications."""

    settings: SmtpSettingsLike
    """The complete settings: what `GetSmtpSettings` returned, with the changes and the password in it.

    ``{**settings, "password": "…"}`` is a copy with a change, by names of the wire.
    """


class TestSmtpSettings(Request[JsonValue]):
    """Send a test message with the stored settings.

    The result is not publicly documented. The call may become a task.
    """

    # For pytest, which takes an imported class with such a name for a test.
    __test__: ClassVar[bool] = False
