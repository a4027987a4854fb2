"""What the workflows have written down, for tenants to read."""

from __future__ import annotations

from uuid import UUID

from pydantic import NonNegativeFloat

from domain.clip import ClipSpec, ClipStatus, RenderedClip
from domain.media import Gap
from domain.model import Model
from domain.stream import StreamProgress


class StreamRecord(Model):
    """A stream's state, with the gaps found since it was last written."""

    tenant_id: UUID
    stream_id: UUID
    progress: StreamProgress
    gaps: tuple[Gap, ...] = ()


class ClipRecord(Model):
    """A clip's state; `rendered` is present when it is ready."""

    spec: ClipSpec
    status: ClipStatus
    rendered: RenderedClip | None = None
    message: str = ""


class MediaRelease(Model):
    """Stored media of a stream that is no longer needed: all that ends before `before` seconds.

    `before` is None when the stream is over and everything may go.
    """

    tenant_id: UUID
    stream_id: UUID
    before: NonNegativeFloat | None = None
