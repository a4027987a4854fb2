"""A stand-in for a broadcast's signals: quiet play, with what a test asks for on top."""

from __future__ import annotations

from uuid import UUID

from domain.analysis.detector import DetectorState, advance
from domain.analysis.signals import SILENCE, KeyPicture, PictureFrame, SignalFrame, SoundFrame
from domain.highlights.candidate import HighlightCandidate
from domain.media.segments import TimedMetadata

TENANT, STREAM = UUID(int=1), UUID(int=2)
_FRAME = 0.25
_MURMUR = -40.0
"""Level (dB) above which the crowd of `play` is not."""


def play(seconds: float, *, start: float = 0.0) -> list[SignalFrame]:
    """Return calm play: a murmuring crowd, a calm camera, a keyframe every two seconds."""
    return [_frame(index, start) for index in range(round(seconds / _FRAME))]


def _frame(index: int, start: float) -> SignalFrame:
    wobble = ((index * 37) % 11 - 5) / 10
    at = start + index * _FRAME
    return SignalFrame(
        start=at,
        duration=_FRAME,
        sound=SoundFrame(
            loudness=-35.0 + wobble,
            roar=-41.0 + wobble,
            speech_band=-38.0 + wobble,
            tonality=0.1,
            onset=2.0,
            voicing=0.2,
        ),
        picture=PictureFrame(motion=10.0 + wobble / 5, jolt=0.5),
        keys=(_key(at, 100),) if index % 8 == 0 else (),
    )


def _key(at: float, luma: int) -> KeyPicture:
    return KeyPicture(time=at, luma=(luma,) * 144, blue=(128,) * 144, red=(128,) * 144)


def louder(
    frames: list[SignalFrame],
    first: float,
    last: float,
    *,
    roar: float = 0.0,
    voice: float = 0.0,
    tonality: float = 0.1,
) -> list[SignalFrame]:
    """Raise the roar and the voices (dB) from `first` to `last` seconds."""
    return [
        frame.model_copy(
            update={
                "sound": frame.sound.model_copy(
                    update={
                        "loudness": frame.sound.loudness + (max(roar, voice) or roar),
                        "roar": frame.sound.roar + roar,
                        "speech_band": frame.sound.speech_band + (max(roar, voice) or roar),
                        "voicing": 0.5 if voice else frame.sound.voicing,
                        "tonality": tonality,
                    }
                )
            }
        )
        if frame.sound and first <= frame.start < last
        else frame
        for frame in frames
    ]


def livelier(
    frames: list[SignalFrame], first: float, last: float, *, motion: float
) -> list[SignalFrame]:
    """Raise motion (log2 bytes) from `first` to `last` seconds."""
    return [
        frame.model_copy(
            update={
                "picture": frame.picture.model_copy(
                    update={"motion": frame.picture.motion + motion}
                )
            }
        )
        if frame.picture and first <= frame.start < last
        else frame
        for frame in frames
    ]


def cut(frames: list[SignalFrame], *times: float) -> list[SignalFrame]:
    """Cut the picture at `times` (s)."""
    return [
        frame.model_copy(update={"picture": frame.picture.model_copy(update={"jolt": 3.0})})
        if frame.picture and any(frame.start <= at < frame.start + _FRAME for at in times)
        else frame
        for frame in frames
    ]


def pictured(frames: list[SignalFrame], hashes: dict[float, str]) -> list[SignalFrame]:
    """Give the keyframes at these seconds these perceptual hashes."""
    return [
        frame.model_copy(
            update={
                "keys": tuple(
                    key.model_copy(update={"hash": hashes.get(key.time)}) for key in frame.keys
                )
            }
        )
        for frame in frames
    ]


def moment(frames: list[SignalFrame], peak: float) -> list[SignalFrame]:
    """Stage an obvious moment: attack, roar, shout, cuts, and a crowd that calms down again."""
    frames = livelier(frames, peak - 3, peak + 1, motion=1.5)
    for index, roar in enumerate((16, 16, 15, 13, 10, 7, 4, 2)):
        frames = louder(frames, peak + index, peak + index + 1, roar=roar, voice=roar)
    return cut(frames, peak + 1.5, peak + 3.5)


def silent(frames: list[SignalFrame]) -> list[SignalFrame]:
    """Take the sound away."""
    return [frame.model_copy(update={"sound": None}) for frame in frames]


def without_crowd(frames: list[SignalFrame]) -> list[SignalFrame]:
    """Take away the murmur of the crowd, so that the crowd level is low between loud sounds."""
    return [
        frame.model_copy(
            update={
                "sound": frame.sound.model_copy(
                    update={"roar": frame.sound.roar if frame.sound.roar > _MURMUR else SILENCE}
                )
            }
        )
        if frame.sound
        else frame
        for frame in frames
    ]


def blind(frames: list[SignalFrame]) -> list[SignalFrame]:
    """Take the picture away."""
    return [frame.model_copy(update={"picture": None, "keys": ()}) for frame in frames]


def found(
    frames: list[SignalFrame], *marks: TimedMetadata, last: bool = True
) -> tuple[HighlightCandidate, ...]:
    """Return what the detector proposes for a whole stream."""
    _, candidates = advance(
        DetectorState(), frames, marks, tenant_id=TENANT, stream_id=STREAM, last=last
    )
    return candidates
