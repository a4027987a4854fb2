"""Playlists, read back by an independent parser."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import m3u8

from demo.origin.packager import Variant
from demo.origin.playlist import DatedMark, PublishedSegment, master_playlist, media_playlist

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def segment(index: int, *, discontinuity: bool = False, gap: bool = False) -> PublishedSegment:
    return PublishedSegment(
        index=index,
        media_sequence=index + 100,
        discontinuity_sequence=3,
        start=index * 2.0,
        duration=2.002,
        program_date_time=T0 + timedelta(seconds=index * 2),
        published_at=T0 + timedelta(seconds=index * 2 + 2),
        discontinuity=discontinuity,
        gap=gap,
    )


def written(*segments: PublishedSegment, suffix: str = "ts", **options: object) -> m3u8.M3U8:
    text = media_playlist(
        segments,
        playlist_type="live",
        target_duration=2.0,
        suffix=suffix,
        **options,  # type: ignore[arg-type]
    )
    return m3u8.loads(text)


def test_segments_carry_their_length_and_wall_clock() -> None:
    playlist = written(segment(0), segment(1))
    assert (playlist.media_sequence, playlist.target_duration) == (100, 2)
    assert [s.uri for s in playlist.segments] == ["segment_00000.ts", "segment_00001.ts"]
    assert [s.duration for s in playlist.segments] == [2.002, 2.002]
    assert [s.program_date_time for s in playlist.segments] == [T0, T0 + timedelta(seconds=2)]


def test_a_live_playlist_is_open_until_it_is_ended() -> None:
    assert not written(segment(0)).is_endlist
    assert written(segment(0), ended=True).is_endlist


def test_the_discontinuity_sequence_counts_only_what_has_left_the_playlist() -> None:
    assert written(segment(0)).discontinuity_sequence == 3
    tagged = written(segment(0, discontinuity=True))
    assert (tagged.discontinuity_sequence, tagged.segments[0].discontinuity) == (2, True)


def test_lost_segments_are_marked() -> None:
    assert [bool(s.gap_tag) for s in written(segment(0), segment(1, gap=True)).segments] == [
        False,
        True,
    ]


def test_fragmented_mp4_names_its_initialisation_section() -> None:
    playlist = written(segment(0), suffix="m4s")
    assert (playlist.segment_map[0].uri, playlist.segments[0].uri) == (
        "init.mp4",
        "segment_00000.m4s",
    )


def test_encrypted_segments_stand_under_a_key() -> None:
    key = written(segment(0), encrypted=True).keys[0]
    assert (key.method, key.uri) == ("AES-128", "key.bin")


def test_timed_metadata_is_wrapped_as_100ms_does() -> None:
    mark = DatedMark(id="m", starts=T0, duration=1.0, payload='{"goal": 1}')
    (found,) = written(segment(0), marks=[mark]).segments[0].dateranges
    encoded = found.x_client_attrs[0][1] if found.x_client_attrs else ""
    envelope = json.loads(base64.b64decode(encoded.strip('"')))
    assert envelope["payload"] == '{"goal": 1}'
    assert set(envelope) == {"payload", "start_date", "end_date", "hms_version"}


def test_the_master_playlist_offers_variants_best_first() -> None:
    variants = [
        (Variant(name="720p", width=1280, height=720, bit_rate=1_720_000), "avc1.64001f"),
        (Variant(name="360p", width=640, height=360, bit_rate=620_000), "avc1.64001e"),
    ]
    master = m3u8.loads(master_playlist(variants, has_audio=True, prefix=""))
    assert [p.uri for p in master.playlists] == ["720p/index.m3u8", "360p/index.m3u8"]
    info = master.playlists[0].stream_info
    assert (info.bandwidth, info.resolution, info.codecs) == (
        1_720_000,
        (1280, 720),
        "avc1.64001f,mp4a.40.2",
    )
