"""Shifting the timestamps of finished segments, so that jumps and wraps are real in the bytes.

MPEG-TS: PCR, PTS and DTS count 90 kHz in 33 bits (ISO/IEC 13818-1, 2.4.2.2 and 2.4.3.7).
fMP4: `tfdt` counts in the track's own timescale (ISO/IEC 14496-12, 8.8.12).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

TICKS_PER_SECOND = 90_000
WRAP = 1 << 33

_PACKET = 188
_SYNC = 0x47
_CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"moof", b"traf"})


def first_mpegts_timestamp(data: bytes) -> int | None:
    """Return the earliest PTS of a segment in ticks, or None when it has none."""
    return min((_read(data, at) for at, is_dts in _stamps(data) if not is_dts), default=None)


def shift_mpegts(data: bytes, ticks: int) -> bytes:
    """Return the segment with every PCR, PTS and DTS moved by `ticks`, modulo 2^33."""
    shifted = bytearray(data)
    for at, _ in _stamps(data):
        _write(shifted, at, (_read(data, at) + ticks) % WRAP)
    for at in _clock_references(data):
        base = int.from_bytes(data[at : at + 5], "big") >> 7
        tail = data[at + 4] & 0x7F
        moved = (base + ticks) % WRAP
        shifted[at : at + 5] = (moved << 7 | tail).to_bytes(5, "big")
    return bytes(shifted)


def mpegts_cuts(data: bytes, seconds: Sequence[float]) -> list[int]:
    """Return where the first picture (or sound) begins after each time since the first one."""
    starts = [(at - at % _PACKET, _read(data, at)) for at, is_dts in _stamps(data) if not is_dts]
    pictures = [each for each in starts if _is_picture(data, each[0])] or starts
    cuts: list[int] = []
    for after in seconds:
        due = after * TICKS_PER_SECOND
        found = (at for at, stamp in pictures if (stamp - pictures[0][1]) % WRAP >= due)
        cuts.append(max([*cuts[-1:], next(found, len(data))]))
    return cuts


def _is_picture(data: bytes, start: int) -> bool:
    pes = start + 4 + (1 + data[start + 4] if data[start + 3] & 0x20 else 0)
    return 0xE0 <= data[pes + 3] <= 0xEF  # noqa: PLR2004


def _packets(data: bytes) -> Iterator[int]:
    for start in range(0, len(data) - _PACKET + 1, _PACKET):
        if data[start] == _SYNC:
            yield start


def _clock_references(data: bytes) -> Iterator[int]:
    """Yield the offsets of PCR fields."""
    for start in _packets(data):
        has_adaptation = data[start + 3] & 0x20
        if has_adaptation and data[start + 4] >= 7 and data[start + 5] & 0x10:  # noqa: PLR2004
            yield start + 6


def _stamps(data: bytes) -> Iterator[tuple[int, bool]]:
    """Yield the offset of each PTS (False) and DTS (True) field."""
    for start in _packets(data):
        if not data[start + 1] & 0x40 or not data[start + 3] & 0x10:
            continue
        pes = start + 4 + (1 + data[start + 4] if data[start + 3] & 0x20 else 0)
        if data[pes : pes + 3] != b"\x00\x00\x01" or not 0xC0 <= data[pes + 3] <= 0xEF:  # noqa: PLR2004
            continue
        if data[pes + 7] & 0x80:
            yield pes + 9, False
        if data[pes + 7] & 0x40:
            yield pes + 14, True


def _read(data: bytes, at: int) -> int:
    """Read the 33 bits of a PTS or DTS field, which marker bits break into 3, 15 and 15."""
    return (
        (data[at] >> 1 & 0x07) << 30
        | (data[at + 1] << 7 | data[at + 2] >> 1) << 15
        | (data[at + 3] << 7 | data[at + 4] >> 1)
    )


def _write(data: bytearray, at: int, ticks: int) -> None:
    data[at] = data[at] & 0xF1 | (ticks >> 30 & 0x07) << 1
    data[at + 1] = ticks >> 22 & 0xFF
    data[at + 2] = (ticks >> 15 & 0x7F) << 1 | 1
    data[at + 3] = ticks >> 7 & 0xFF
    data[at + 4] = (ticks & 0x7F) << 1 | 1


def shift_fmp4(data: bytes, init: bytes, ticks: int) -> bytes:
    """Return the fragment with its tracks' decode times moved by `ticks` of 90 kHz, floor 0."""
    scales = _timescales(init)
    shifted = bytearray(data)
    track = 0
    for kind, body in _boxes(data, 0, len(data)):
        if kind == b"tfhd":
            track = int.from_bytes(data[body + 4 : body + 8], "big")
        elif kind == b"tfdt":
            width = 8 if data[body] == 1 else 4
            field = slice(body + 4, body + 4 + width)
            time = int.from_bytes(data[field], "big")
            moved = max(0, time + ticks * scales.get(track, TICKS_PER_SECOND) // TICKS_PER_SECOND)
            shifted[field] = (moved % (1 << 8 * width)).to_bytes(width, "big")
    return bytes(shifted)


def _timescales(init: bytes) -> dict[int, int]:
    """Return the ticks per second of each track of an initialisation section."""
    scales: dict[int, int] = {}
    track = 0
    for kind, body in _boxes(init, 0, len(init)):
        wide = init[body] == 1
        if kind == b"tkhd":
            at = body + (20 if wide else 12)
            track = int.from_bytes(init[at : at + 4], "big")
        elif kind == b"mdhd":
            at = body + (20 if wide else 12)
            scales[track] = int.from_bytes(init[at : at + 4], "big")
    return scales


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Yield the type and body offset of every box, into the containers that matter here."""
    while start + 8 <= end:
        size = int.from_bytes(data[start : start + 4], "big")
        kind, body = data[start + 4 : start + 8], start + 8
        if size == 1:
            size, body = int.from_bytes(data[start + 8 : start + 16], "big"), start + 16
        stop = end if size == 0 else min(start + size, end)
        if stop <= start:
            return
        yield kind, body
        if kind in _CONTAINERS:
            yield from _boxes(data, body, stop)
        start = stop
