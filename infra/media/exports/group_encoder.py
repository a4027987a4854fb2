"""Encode the part of a cut group of pictures that a clip shows. Runs in a media child process."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

import av
from av.codec.context import Flags

from domain.media.packet_times import TICKS, typical_interval
from infra.media.exports.source_packets import CannotCutError, PictureForm

REORDERED: Final = 2
"""Pictures by which the encoder's order differs from the one of display, at most."""

_CLOCK: Final = Fraction(1, TICKS)
# A fourth of the time of `veryfast`, and closer to the source at the same rate factor; the pictures
# take twice the bytes, for at most two groups of a clip.
OPTIONS: Final = {"preset": "ultrafast", "crf": "20", "profile": "high", "g": "1000"}
# Decoders take the depth of reordering from the first pictures: copied ones may need as much.
_X264: Final = "bframes=2:b-adapt=0:threads=1"


class GroupEncoder:
    """Decodes one group of pictures, and encodes those of `times` as a group.

    Args:
        form: of the source's pictures.
        parameters: the source's parameter sets, with start codes.
        times: of the pictures to encode, in ticks and in order.
        set_id: of the encoder's own parameter sets, so that they can stand beside the source's.
    """

    def __init__(
        self, form: PictureForm, parameters: bytes, times: Sequence[int], set_id: int
    ) -> None:
        self._missing = set(times)
        self._decoder: Any = av.CodecContext.create("h264", "r")
        self._decoder.extradata = parameters
        self._decoder.thread_count = 1
        self._encoder: Any = av.CodecContext.create("libx264", "w")
        self._encoder.width, self._encoder.height = form.width, form.height
        self._encoder.pix_fmt = "yuv420p"
        self._encoder.time_base = _CLOCK
        (
            self._encoder.color_range,
            self._encoder.colorspace,
            self._encoder.color_trc,
            self._encoder.color_primaries,
        ) = form.color
        self._encoder.flags |= Flags.global_header
        # x264 derives the level from a rate, for which it would take the clock.
        rate = TICKS / typical_interval(times)
        self._encoder.options = {
            **OPTIONS,
            "x264-params": f"sps-id={set_id}:fps={rate:.3f}:{_X264}",
        }
        self._encoder.open()
        self._packets: list[av.Packet[Any]] = []

    @property
    def parameters(self) -> bytes:
        """The encoder's parameter sets, with start codes."""
        return bytes(self._encoder.extradata)

    def feed(self, packet: av.Packet[Any]) -> None:
        """Take the group's next picture, with its time in ticks.

        Raises:
            CannotCutError: it is interlaced or rotated.
        """
        if self._missing:
            # Of pictures that are not wanted, only those are decoded that others refer to.
            self._decoder.skip_frame = "DEFAULT" if packet.pts in self._missing else "NONREF"
            self._encode(self._decoder.decode(packet))

    def finish(self) -> list[av.Packet[Any]]:
        """Return the group, in the order of decoding.

        Raises:
            CannotCutError: a picture of `times` could not be decoded.
        """
        self._encode(self._decoder.decode(None))
        if self._missing:
            raise CannotCutError("a picture at a cut cannot be decoded")
        self._packets += self._encoder.encode(None)
        return self._packets

    def _encode(self, frames: Sequence[av.VideoFrame]) -> None:
        for frame in frames:
            if frame.interlaced_frame or frame.rotation:
                raise CannotCutError("they are interlaced or rotated")
            if frame.pts in self._missing:
                self._missing.remove(frame.pts)
                frame.time_base = _CLOCK
                frame.pict_type = av.video.frame.PictureType.NONE
                self._packets += self._encoder.encode(frame)
