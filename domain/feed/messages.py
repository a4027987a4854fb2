"""Messages about the events of a feed: the workflow's signal, and the activity that links them."""

from __future__ import annotations

from uuid import UUID

from pydantic import NonNegativeFloat, NonNegativeInt

from domain.media.timestamps import WallClockAnchor
from domain.model import Model


class FeedEventsStored(Model):
    """Signal that events of the stream's feed were stored."""

    events: NonNegativeInt


class LinkFeedInput(Model):
    """Request to place a stream's waiting events, and to link them to highlights.

    Attributes:
        anchor: a point known on both clocks; None if the stream has none yet.
        media_end: end of the media received (s).
        analyzed: media time (s) up to which the stream is analyzed.
        ended: True if no highlight will follow, so that no event waits any longer.
        takes_back: False to leave events that others take back to the workflow, which has to know
            the highlights that are withdrawn.
    """

    tenant_id: UUID
    stream_id: UUID
    anchor: WallClockAnchor | None = None
    media_end: NonNegativeFloat = 0.0
    analyzed: NonNegativeFloat = 0.0
    ended: bool = False
    takes_back: bool = True


class LinkFeedResult(Model):
    """What became of the events.

    Attributes:
        waiting: events that still wait.
        retracted: highlights that were withdrawn, because all they rested on was taken back.
    """

    waiting: NonNegativeInt = 0
    retracted: tuple[UUID, ...] = ()
