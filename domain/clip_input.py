"""What a clip's workflow is started with."""

from __future__ import annotations

from pydantic import PositiveFloat, PositiveInt

from domain.clip import ClipSpec
from domain.model import Model


class ClipTiming(Model):
    """Timeouts of rendering, in seconds, and how often it is tried.

    `start_timeout` bounds the wait for a free renderer; `retry_interval` doubles at each attempt.
    """

    render_timeout: PositiveFloat = 300.0
    heartbeat_timeout: PositiveFloat = 15.0
    retry_interval: PositiveFloat = 1.0
    attempts: PositiveInt = 5


class ClipInput(Model):
    """Start of a clip's workflow; it tells `stream_workflow` how it ended."""

    spec: ClipSpec
    stream_workflow: str
    timing: ClipTiming = ClipTiming()
