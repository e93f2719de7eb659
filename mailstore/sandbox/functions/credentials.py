"""Credentials: what the credential manager knows about access to other systems."""

from __future__ import annotations

from mailstore.models.credentials import CredentialInfo, CredentialSettings, CredentialType, GetCredentials
from mailstore.sandbox.registry import answers
from mailstore.sandbox.state import World


@answers(GetCredentials)
def get_credentials(world: World, request: GetCredentials) -> list[CredentialInfo]:
    """List the entries. No function of the API writes them."""
    return [
        CredentialInfo(
            id=credential.id,
            type=CredentialType(credential.type),
            description=credential.description,
            settings=CredentialSettings.model_validate(credential.settings),
        )
        for credential in world.credentials
    ]
