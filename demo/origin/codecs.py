"""Codec strings of the master playlist (RFC 6381), read out of the media themselves."""

from __future__ import annotations

import re

# A sequence parameter set: its NAL header (type 7), then profile, constraints and level.
_ANNEX_B = re.compile(rb"\x00\x00\x01[\x27\x47\x67](...)", re.DOTALL)
_AVC_CONFIGURATION = re.compile(rb"avcC\x01(...)", re.DOTALL)


def h264_codec(data: bytes) -> str | None:
    """Return the `avc1` string of an MPEG-TS segment or an fMP4 initialisation section."""
    found = _AVC_CONFIGURATION.search(data) or _ANNEX_B.search(data)
    return f"avc1.{found[1].hex()}" if found else None
