"""Signals measured on media: what was heard and seen in each quarter of a second.

Stored media that analysis could not read: how much was read, and which stretches were not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat

from domain.media.segments import Gap, GapReason, SegmentRef
from domain.model import Model

FRAME_SECONDS: Final = 0.25
"""Aimed length of a frame; a segment is divided into equal frames of about this length."""


SILENCE: Final = -70.0
"""Loudness (LUFS) below which there is nothing to hear: the absolute gate of EBU R128."""


THUMBNAIL_WIDTH: Final = 16


THUMBNAIL_HEIGHT: Final = 9


class SoundFrame(Model):
    """What was heard in one frame.

    Attributes:
        loudness: K-weighted level of the mono downmix in LUFS (ITU-R BS.1770-4), ungated.
        roar: level in dB of what is neither tone nor beat in the band of crowds, 0.4-4.5 kHz.
        speech_band: level in dB of everything in the band of speech, 0.3-3.4 kHz.
        tonality: 0 for noise to 1 for pure tones, as 1 - spectral flatness.
        onset: spectral flux in dB, the mean rise of the bands from one hop to the next.
        voicing: 0 to 1, how periodic the sound is at the pitch of a voice.
    """

    loudness: float
    roar: float
    speech_band: float
    tonality: float
    onset: float
    voicing: float


class PictureFrame(Model):
    """What the compressed picture tells about one frame without being decoded.

    Attributes:
        motion: log2 of the mean size in bytes of the pictures that are no keyframes, without the
            largest, which a cut would make huge.
        jolt: log2 of the largest over the median of its neighbours; a cut or a flash stands out.
    """

    motion: float
    jolt: float


class KeyPicture(Model):
    """A decoded keyframe, very small: rows of luma and of two colour differences, 0 to 255.

    `hash` is its perceptual hash in hexadecimal; None when there is nothing to see on it.
    """

    time: float
    luma: tuple[int, ...]
    blue: tuple[int, ...]
    red: tuple[int, ...]
    hash: str | None = None

    @property
    def cells(self) -> tuple[int, ...]:
        """All planes, one after the other."""
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
    """The frames of one segment, and how many of its packets could not be decoded."""

    frames: tuple[SignalFrame, ...] = ()
    damaged_packets: NonNegativeInt = 0


UNDECODABLE_DETAIL: Final = "stored, but no part of it could be decoded"


def measured_seconds(segments: Iterable[tuple[SegmentRef, SegmentSignals | None]]) -> float:
    """Return the seconds of media that were analysed, from the first to the last readable frame.

    A segment of which nothing could be decoded counts for nothing.
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
    """Return the gaps that undecodable segments (in order) make, neighbors together."""
    gaps: list[Gap] = []
    for segment in segments:
        last = gaps[-1] if gaps else None
        if last is not None and last.last_sequence + 1 == segment.media_sequence:
            joined = {
                "duration": max(last.duration, segment.end - last.start),
                "last_sequence": segment.media_sequence,
            }
            gaps[-1] = last.model_copy(update=joined)
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
