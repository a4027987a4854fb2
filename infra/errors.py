"""Errors of the installation: something around the product is missing, taken or wrong."""

from __future__ import annotations


class SetupError(Exception):
    """The product cannot start as configured.

    Attributes:
        code: stable and machine-readable.
        message: what is wrong, in one sentence.
        remedy: what to do about it, in one sentence.
    """

    code = "setup"

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(f"{message} {remedy}")
        self.message = message
        self.remedy = remedy


class NotConfiguredError(SetupError):
    """A setting that this command needs has no value."""

    code = "not_configured"


class InvalidSettingError(SetupError):
    """A setting has a value that it cannot have, or a variable of ours names no setting."""

    code = "invalid_setting"


class ComponentMissingError(SetupError):
    """A required program or library does not exist and cannot be installed."""

    code = "component_missing"


class PortTakenError(SetupError):
    """Another program listens on a configured port."""

    code = "port_taken"


class AlreadyRunningError(SetupError):
    """The state directory is in use by another process."""

    code = "already_running"


class StartFailedError(SetupError):
    """A server that we started died or did not answer in time."""

    code = "start_failed"
