"""Signals measured on media, in frames of a quarter of a second, and gaps without signals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat

from domain.analysis.screen import ScreenMemory, ScreenReading
from domain.media.segments import Gap, GapReason, SegmentRef
from domain.model import Model

FRAME_SECONDS: Final = 0.25
"""Target length of a frame; a segment is divided into equal frames of about this length."""


SILENCE: Final = -70.0
"""Loudness (LUFS) of silence: the absolute gate of EBU R128."""


THUMBNAIL_WIDTH: Final = 16


THUMBNAIL_HEIGHT: Final = 9


class SoundFrame(Model):
    """Audio measurements of one frame.

    Attributes:
        loudness: K-weighted level of the mono downmix in LUFS (ITU-R BS.1770-4), ungated.
        roar: crowd level in dB: noise without tones and beats, 0.4-4.5 kHz.
        speech_band: level in dB of the speech band, 0.3-3.4 kHz.
        tonality: 0 for noise to 1 for pure tones, as 1 - spectral flatness.
        onset: spectral flux in dB, the mean rise of the bands from one hop to the next.
        voicing: periodicity at the pitch of a voice, 0 to 1.
    """

    loudness: float
    roar: float
    speech_band: float
    tonality: float
    onset: float
    voicing: float


class PictureFrame(Model):
    """Video measurements of one frame, taken from compressed pictures without decoding.

    Attributes:
        motion: log2 of the mean size in bytes of the pictures that are not keyframes, without the
            largest, which a cut inflates.
        jolt: log2 of the largest over the median of its neighbors; a cut or a flash stands out.
    """

    motion: float
    jolt: float


class KeyPicture(Model):
    """A thumbnail of a keyframe: rows of luma and of two color differences, 0 to 255.

    `hash` is its perceptual hash in hexadecimal; None if the picture is blank.
    """

    time: float
    luma: tuple[int, ...]
    blue: tuple[int, ...]
    red: tuple[int, ...]
    hash: str | None = None

    @property
    def cells(self) -> tuple[int, ...]:
        """All planes, concatenated."""
        return (*self.luma, *self.blue, *self.red)


class SignalFrame(Model):
    """One frame: `start` in seconds of media time, `duration` in seconds."""

    start: NonNegativeFloat
    duration: PositiveFloat
    sound: SoundFrame | None = None
    picture: PictureFrame | None = None
    keys: tuple[KeyPicture, ...] = ()

    @property
    def middle(self) -> float:
        """Seconds of media time."""
        return self.start + self.duration / 2


class SegmentSignals(Model):
    """The measurements of one segment.

    Attributes:
        frames: its frames, in order.
        damaged_packets: packets that could not be decoded.
        readings: text read on the screen.
        screen: memory of the screen's reader after it; None if nothing is to be read.
    """

    frames: tuple[SignalFrame, ...] = ()
    damaged_packets: NonNegativeInt = 0
    readings: tuple[ScreenReading, ...] = ()
    screen: ScreenMemory | None = None


UNDECODABLE_DETAIL: Final = "stored, but no part of it could be decoded"


def measured_seconds(segments: Iterable[tuple[SegmentRef, SegmentSignals | None]]) -> float:
    """Return the seconds of media from the first to the last measured frame of each segment.

    A segment that could not be decoded counts as 0.
    """
    seconds = 0.0
    for segment, signals in segments:
        read = [
            frame
            for frame in (signals.frames if signals else ())
            if frame.sound is not None or frame.picture is not None or frame.keys
        ]
        if read:
            seconds += min(segment.duration, read[-1].start + read[-1].duration - read[0].start)
    return round(seconds, 6)


def undecodable_gaps(segments: Sequence[SegmentRef]) -> tuple[Gap, ...]:
    """Return the gaps of undecodable segments (in order), with adjacent ones merged."""
    gaps: list[Gap] = []
    for segment in segments:
        last = gaps[-1] if gaps else None
        if last is not None and last.last_sequence + 1 == segment.media_sequence:
            gaps[-1] = Gap(
                start=last.start,
                duration=max(last.duration, segment.end - last.start),
                first_sequence=last.first_sequence,
                last_sequence=segment.media_sequence,
                reason=last.reason,
                detail=last.detail,
                anchor_at=last.anchor_at,
                anchor_wall=last.anchor_wall,
            )
            continue
        gaps.append(
            Gap(
                start=segment.start,
                duration=segment.duration,
                first_sequence=segment.media_sequence,
                last_sequence=segment.media_sequence,
                reason=GapReason.CORRUPT,
                detail=UNDECODABLE_DETAIL,
                anchor_at=None if segment.program_date_time is None else segment.start,
                anchor_wall=segment.program_date_time,
            )
        )
    return tuple(gaps)
