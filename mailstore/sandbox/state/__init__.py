"""What the sandbox knows: the state that its functions read and change."""

from mailstore.sandbox.state.accounts import Credential, Login, Session, User
from mailstore.sandbox.state.archive import Folder, Message, add_folder
from mailstore.sandbox.state.configuration import AuditEntry, Directory, DirectoryUser, License, Mail, Service
from mailstore.sandbox.state.jobs import Job, JobRun
from mailstore.sandbox.state.profiles import Profile, ProfileRun
from mailstore.sandbox.state.stores import Store
from mailstore.sandbox.state.world import World

__all__ = [
    "AuditEntry",
    "Credential",
    "Directory",
    "DirectoryUser",
    "Folder",
    "Job",
    "JobRun",
    "License",
    "Login",
    "Mail",
    "Message",
    "Profile",
    "ProfileRun",
    "Service",
    "Session",
    "Store",
    "User",
    "World",
    "add_folder",
]
