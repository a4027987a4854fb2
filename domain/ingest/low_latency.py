"""Low-latency HLS (RFC 8216bis, 6.2.5 and 6.3): what the next reload of a playlist asks for."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit, urlunsplit

from pydantic import NonNegativeInt

from domain.ingest.playlist import MediaPlaylist
from domain.ingest.retries import LONGEST_REQUEST, RequestTiming
from domain.model import Model

_DIRECTIVES: Final = ("_HLS_msn", "_HLS_part", "_HLS_skip")
_BLOCKED_TARGETS: Final = 3
_SHORTEST_BLOCK: Final = 2.0
_EMPTY_ANSWERS: Final = 3
_FIRST_PAUSE: Final = 10.0
_LONGEST_PAUSE: Final = 600.0
_PART_TOLERANCE: Final = 0.5  # of a part


class PlaylistUpdate(Model):
    """A segment, or with `part` one of its parts (from 0), that a playlist will list next."""

    sequence: NonNegativeInt
    part: NonNegativeInt | None = None


class DeliveryDirectives(Model):
    """What a request asks of the server, as query parameters.

    Attributes:
        update: hold the response back until this is listed.
        skip: `YES` for a delta update, `v2` for one that may leave out date ranges too, or empty.
    """

    update: PlaylistUpdate | None = None
    skip: str = ""

    def applied_to(self, url: str) -> str:
        """Return the URL with the directives after its own parameters, in the order of the RFC."""
        values = {"_HLS_skip": self.skip}
        if self.update is not None:
            values["_HLS_msn"] = str(self.update.sequence)
            values["_HLS_part"] = "" if self.update.part is None else str(self.update.part)
        parts = urlsplit(url)
        kept = [
            each
            for each in parts.query.split("&")
            if each and each.partition("=")[0] not in _DIRECTIVES
        ]
        asked = [f"{name}={values[name]}" for name in _DIRECTIVES if values.get(name)]
        return urlunsplit(parts._replace(query="&".join([*kept, *asked])))


def next_update(playlist: MediaPlaylist, *, parts: bool) -> PlaylistUpdate | None:
    """Return what the server can hold a request back for; None if it cannot.

    Args:
        playlist: the latest response.
        parts: wait for the next part instead of the next complete segment.
    """
    if playlist.ended or not playlist.server.can_block_reload or playlist.media_sequence is None:
        return None
    if not playlist.segments:
        return None
    upcoming = playlist.segments[-1].sequence + 1
    if not parts or playlist.part_target is None:
        return PlaylistUpdate(sequence=upcoming)
    partial = playlist.parts_of(upcoming)
    return PlaylistUpdate(sequence=upcoming, part=len(partial.parts) if partial else 0)


def has_update(playlist: MediaPlaylist, update: PlaylistUpdate) -> bool:
    """Return True if a playlist lists an update, or has ended."""
    if playlist.ended:
        return True
    if playlist.segments and playlist.segments[-1].sequence >= update.sequence:
        return True
    partial = playlist.parts_of(update.sequence)
    return partial is not None and update.part is not None and len(partial.parts) > update.part


def skip_directive(playlist: MediaPlaylist, *, age: float) -> str:
    """Return `_HLS_skip` for the reload of a playlist that was read `age` seconds ago.

    The RFC allows it up to half the skip boundary; after that the segments that a delta update
    leaves out may never have been read.
    """
    boundary = playlist.server.can_skip_until
    if boundary is None or age > boundary / 2 or playlist.ended or not playlist.segments:
        return ""
    return "v2" if playlist.server.can_skip_date_ranges else "YES"


def are_all_parts(durations: tuple[float, ...], *, segment: float) -> bool:
    """Return True if parts of these durations can be all of a segment.

    A playlist may stop listing the first parts of a segment before the others.
    """
    missing = abs(segment - sum(durations))
    return bool(durations) and missing < _PART_TOLERANCE * max(durations)


def blocked_timing(target_duration: float) -> RequestTiming:
    """Return the timeouts of a request that the server holds back: 3 target durations."""
    longest = min(max(_BLOCKED_TARGETS * target_duration, _SHORTEST_BLOCK), LONGEST_REQUEST)
    return RequestTiming(total=longest, idle=longest)


def part_timing(target_duration: float) -> RequestTiming:
    """Return the timeouts of a part, short enough to request the whole segment afterwards."""
    idle = min(max(target_duration, _SHORTEST_BLOCK), LONGEST_REQUEST)
    return RequestTiming(total=min(2 * idle, LONGEST_REQUEST), idle=idle)


class BlockingReloads:
    """Whether the server keeps its promise to hold requests back; if not, it is polled.

    Times are seconds of one monotonic clock. Polling begins at a refusal, an error or the third
    answer in a row that came early without the update. Blocking is tried again after 10 s, then
    after twice as long each time.
    """

    def __init__(self) -> None:
        self._empty = 0
        self._pause = _FIRST_PAUSE
        self._paused_until = 0.0

    def allowed(self, *, now: float) -> bool:
        """Return True if the next request may ask to be held back."""
        return now >= self._paused_until

    def kept(self) -> None:
        """Record an answer with the update."""
        self._empty = 0
        self._pause = _FIRST_PAUSE

    def empty(self, *, now: float, waited: float, target_duration: float) -> None:
        """Record an answer without the update; one after a target duration is that of a stall."""
        if waited < target_duration:
            self._empty += 1
            if self._empty >= _EMPTY_ANSWERS:
                self.failed(now=now)

    def failed(self, *, now: float) -> None:
        """Record a request that the server refused, or did not answer in time."""
        self._empty = 0
        self._paused_until = now + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
