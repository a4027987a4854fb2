"""What a live stream can do wrong, on request, so that everything downstream can be tried on it.

Segments are named by their index: 0 is the first of the stream. Times are seconds of wall clock.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from demo.model import Model


class Stall(Model):
    """After segment `after` the playlist stands still for `seconds`.

    With `catch_up` the event went on meanwhile and the playlist jumps to where it should be;
    without, the encoder itself stood still and the stream goes on where it stopped.
    """

    after: NonNegativeInt
    seconds: PositiveFloat
    catch_up: bool = False


class EncoderRestart(Model):
    """From segment `at`, timestamps begin anew behind a discontinuity.

    With `reset_sequence` the media sequence begins at 0 again too, and what was listed is gone.
    """

    at: NonNegativeInt
    reset_sequence: bool = False


class SegmentError(Model):
    """The first `times` requests for a segment are answered with `status`."""

    segment: NonNegativeInt
    status: int = Field(default=404, ge=400, le=599)
    times: PositiveInt = 1


class SlowSegment(Model):
    """A segment trickles at `bytes_per_second`."""

    segment: NonNegativeInt
    bytes_per_second: PositiveInt


class CorruptSegment(Model):
    """A segment is noise, cut off in the middle, or of no length."""

    segment: NonNegativeInt
    damage: Literal["noise", "truncated", "empty"] = "noise"


class OversizedSegment(Model):
    """A segment of `size` bytes (10 GB by default), with its length declared or not."""

    segment: NonNegativeInt
    size: PositiveInt = 10_000_000_000
    declared: bool = False


class PlaylistErrors(Model):
    """Once segment `after` is published, `times` requests for the media playlist fail."""

    after: NonNegativeInt
    status: int = Field(default=503, ge=400, le=599)
    times: PositiveInt = 1


class Regression(Model):
    """Once segment `at` is published, the playlist goes back by `by` segments.

    A passing one answers `times` requests with the playlist of old, as a stale cache does; a
    `lasting` one lowers every media sequence number from then on.
    """

    at: PositiveInt
    by: PositiveInt = 3
    times: PositiveInt = 2
    lasting: bool = False


class Redirect(Model):
    """Requests for the master playlist, media playlists or segments are sent to `location`."""

    of: Literal["master", "media", "segment"]
    location: str


class Faults(Model):
    """All that is to go wrong with one stream; nothing by default.

    Attributes:
        discontinuities: segments before which timestamps jump, announced in the playlist.
        pts_wrap_in: the segment in whose middle the 33-bit timestamps wrap (MPEG-TS only).
        stall: the playlist stands still.
        restart: the encoder starts anew.
        missing: listed, but 404.
        gaps: listed with EXT-X-GAP, and 404.
        errors: passing HTTP errors of segments.
        slow: trickling segments.
        corrupt: damaged segments.
        oversized: endless segments.
        playlist_errors: passing HTTP errors of media playlists.
        regression: the playlist goes back in time.
        redirect: requests are sent elsewhere.
        encrypted: segments are unreadable, under an EXT-X-KEY whose key is not served.
        master: what stands in the place of the master playlist: never anything (404), an HTML
            page, bytes of a picture, or a gzip bomb of `bomb_bytes` when unpacked.
        end: how the stream ends: EXT-X-ENDLIST, a playlist that stands still for ever, or one
            that is gone (404).
        missing_parts: parts (segment, part) that are listed, but 404.
        gap_parts: parts that are listed with GAP=YES, and 404.
        blocking: what becomes of requests that ask to be held back: they are answered at once,
            refused with a status, or never answered.
        stop_after: end after so many segments, as when the room closes early.
    """

    discontinuities: tuple[NonNegativeInt, ...] = ()
    pts_wrap_in: NonNegativeInt | None = None
    stall: Stall | None = None
    restart: EncoderRestart | None = None
    missing: tuple[NonNegativeInt, ...] = ()
    gaps: tuple[NonNegativeInt, ...] = ()
    errors: tuple[SegmentError, ...] = ()
    slow: tuple[SlowSegment, ...] = ()
    corrupt: tuple[CorruptSegment, ...] = ()
    oversized: tuple[OversizedSegment, ...] = ()
    playlist_errors: PlaylistErrors | None = None
    regression: Regression | None = None
    redirect: Redirect | None = None
    encrypted: bool = False
    master: Literal["playlist", "missing", "html", "binary", "gzip_bomb"] = "playlist"
    bomb_bytes: PositiveInt = 1 << 30
    end: Literal["endlist", "silent", "gone"] = "endlist"
    missing_parts: tuple[tuple[NonNegativeInt, NonNegativeInt], ...] = ()
    gap_parts: tuple[tuple[NonNegativeInt, NonNegativeInt], ...] = ()
    blocking: Literal["honored", "ignored", "400", "503", "hangs"] = "honored"
    stop_after: PositiveInt | None = None
