"""A live HLS origin in the form of 100ms, that can do everything wrong that a real one can."""

from demo.origin.faults import Faults
from demo.origin.live import LiveOrigin
from demo.origin.options import OriginOptions
from demo.origin.playlist import Mark, PublishedSegment

__all__ = ["Faults", "LiveOrigin", "Mark", "OriginOptions", "PublishedSegment"]
