"""Playlists of instant clips."""

from __future__ import annotations

from datetime import timedelta

from domain.clips.instant import PlayableSegment, clip_playlist, initialization_size
from tests.factories.clips import WHEN, segment


def playable(number: int, *, initialization: int = 0, discontinuity: int = 0) -> PlayableSegment:
    ref = segment(
        number, 2.0 * number, program_date_time=WHEN + timedelta(seconds=2.0 * number)
    ).model_copy(update={"discontinuity_sequence": discontinuity, "size": 100})
    return PlayableSegment(ref=ref, url=f"https://s/{number}", initialization=initialization)


def test_a_complete_clip_is_a_recording_that_starts_where_it_should() -> None:
    text = clip_playlist([playable(1), playable(2)], start=3.25, is_complete=True)
    assert text.splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-TARGETDURATION:2",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "#EXT-X-START:TIME-OFFSET=1.250,PRECISE=YES",
        "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:02.000Z",
        "#EXTINF:2.000000,",
        "https://s/1",
        "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:04.000Z",
        "#EXTINF:2.000000,",
        "https://s/2",
        "#EXT-X-ENDLIST",
    ]


def test_a_clip_whose_last_seconds_are_awaited_may_grow() -> None:
    text = clip_playlist([playable(1)], start=2.0, is_complete=False)
    assert "#EXT-X-PLAYLIST-TYPE:EVENT" in text
    assert "#EXT-X-ENDLIST" not in text


def test_a_discontinuity_is_announced() -> None:
    text = clip_playlist([playable(1), playable(2, discontinuity=1)], start=2.0, is_complete=True)
    assert (
        text.index("https://s/1") < text.index("#EXT-X-DISCONTINUITY\n") < text.index("https://s/2")
    )


def test_fragmented_mp4_is_read_behind_its_initialization() -> None:
    lines = clip_playlist(
        [playable(1, initialization=30), playable(2, initialization=30)],
        start=2.0,
        is_complete=True,
    ).splitlines()
    assert lines.count('#EXT-X-MAP:URI="https://s/1",BYTERANGE="30@0"') == 1
    assert not any("EXT-X-MAP" in line and "https://s/2" in line for line in lines)
    assert lines.count("#EXT-X-BYTERANGE:70@30") == 2


def test_each_discontinuity_has_its_own_initialization() -> None:
    text = clip_playlist(
        [playable(1, initialization=30), playable(2, initialization=40, discontinuity=1)],
        start=2.0,
        is_complete=True,
    )
    assert '#EXT-X-MAP:URI="https://s/2",BYTERANGE="40@0"' in text


def box(kind: bytes, size: int) -> bytes:
    return size.to_bytes(4) + kind + bytes(size - 8)


def test_the_initialization_ends_with_the_moov_box() -> None:
    assert initialization_size(box(b"ftyp", 24) + box(b"moov", 100) + box(b"moof", 50)) == 124


def test_a_large_box_is_measured_by_its_long_size() -> None:
    large = (1).to_bytes(4) + b"free" + (32).to_bytes(8) + bytes(16)
    assert initialization_size(large + box(b"moov", 20)) == 52


def test_what_is_no_mp4_has_no_initialization() -> None:
    assert initialization_size(b"\x47" * 376) == 0
