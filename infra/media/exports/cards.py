"""Cards in the ffmpeg command: pictures before and after a source, and silence for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import av
import av.error
import ffmpeg

from domain.exports.cards import Card, Cards, PictureKind
from domain.media.packet_times import TICKS
from infra.media.audio import RATE
from infra.media.concat import Spliced
from infra.media.render import color_matrix, color_tags, top_frame_rate

_LARGEST_SIDE: Final = 4096
_SUFFIXES: Final = {PictureKind.PNG: ".png", PictureKind.JPEG: ".jpg"}


class BadCardError(Exception):
    """The picture of a card cannot be used; the message is for the tenant."""


def write_cards(cards: Cards, directory: Path) -> Mapping[Card, Path]:
    """Write the pictures of cards once they were decoded. Runs in a media child process.

    Raises:
        BadCardError: a picture cannot be decoded, or is too large.
    """
    files = {}
    for number, card in enumerate((*cards.before, *cards.after)):
        path = directory / f"card{number}{_SUFFIXES[card.kind]}"
        path.write_bytes(card.data)
        try:
            with av.open(str(path), format=f"{card.kind}_pipe") as container:
                frame = next(container.decode(video=0))
        except (av.error.FFmpegError, StopIteration, ValueError) as error:
            raise BadCardError(
                "The image of an intro, outro or end card cannot be read: send a whole PNG or "
                "JPEG in base64."
            ) from error
        if max(frame.width, frame.height) > _LARGEST_SIDE:
            raise BadCardError(
                f"The image of an intro, outro or end card has {frame.width} x {frame.height} "
                f"pixels; send at most {_LARGEST_SIDE} a side."
            )
        files[card] = path
    return files


def with_cards(
    picture: ffmpeg.VideoStream,
    cards: Cards,
    files: Mapping[Card, Path],
    spliced: Spliced,
    *,
    size: tuple[int, int],
    duration: float,
) -> ffmpeg.VideoStream:
    """Return pictures of a source of that duration (s), later by an intro, between its cards.

    Every picture has its time, so that the source begins to the tick after the intro, whatever its
    frame rate.
    """
    clock = f"1/{TICKS}"
    shown, at = [], 0.0
    for card in cards.before:
        shown.append(_still(card, files[card], spliced, size=size, at=at))
        at += card.seconds
    source = picture.trim(end=round(duration, 4)).settb(expr=clock)
    shown.append(source.setpts(expr=f"PTS+{round(at * TICKS)}"))
    at += duration
    for card in cards.after:
        shown.append(_still(card, files[card], spliced, size=size, at=at))
        at += card.seconds
    return ffmpeg.filters.interleave(*shown).settb(expr=clock)


def with_silence(sound: ffmpeg.AudioStream, cards: Cards, *, duration: float) -> ffmpeg.AudioStream:
    """Return the sound of a source of that duration (s) between the silence of its cards."""
    own = sound.atrim(end=round(duration, 4))
    delayed = own.adelay(delays=f"{round(cards.lead * RATE)}S", all=True) if cards.before else own
    return delayed.apad(whole_dur=round(duration + cards.seconds, 4))


def _still(
    card: Card, file: Path, spliced: Spliced, *, size: tuple[int, int], at: float
) -> ffmpeg.VideoStream:
    """Return a card's picture from `at` (s) on, in the middle of its background."""
    width, height = size
    matrix, rate = color_matrix(spliced), top_frame_rate(spliced)
    image = ffmpeg.input(
        file,
        f="image2",
        extra_options={"protocol_whitelist": "file", "pattern_type": "none"},
    ).video.scale(w=str(width), h=str(height), force_original_aspect_ratio="decrease")
    behind = ffmpeg.sources.color(
        color=f"0x{card.background[1:]}", size=f"{width}x{height}", rate=f"{rate:.3f}", duration=1
    ).trim(end_frame=1)
    whole = behind.format(pix_fmts="gbrp").overlay(
        image.format(pix_fmts="gbrap"), x="(W-w)/2", y="(H-h)/2", format="gbrp"
    )
    flat = whole.scale(out_color_matrix=matrix, out_range="tv").format(pix_fmts="yuv420p")
    # The first picture says what the movie states of its colors.
    space, transfer, primaries = color_tags(spliced)
    flat = flat.setparams(colorspace=space, color_trc=transfer, color_primaries=primaries)
    count = max(1, round(card.seconds * rate))
    repeated = flat.setsar(sar="1").loop(loop=count - 1, size=1)
    times = repeated.settb(expr=f"1/{TICKS}").setpts(
        expr=f"{round(at * TICKS)}+N*{TICKS / rate:.6f}"
    )
    return times.trim(end_frame=count)
