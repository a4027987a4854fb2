"""Playlist text to values."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.playlist import ByteRange, MasterPlaylist, MediaPlaylist
from infra.hls_parser import NotAPlaylistError, parse_playlist

URL = "https://cdn.example/room/720p/index.m3u8"
HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n"


def media(text: str) -> MediaPlaylist:
    parsed = parse_playlist(text, url=URL)
    assert isinstance(parsed, MediaPlaylist)
    return parsed


def mark(encoded: str) -> str:
    return (
        f'#EXT-X-DATERANGE:ID="m1",START-DATE="2026-01-01T12:00:01.500Z",DURATION=2.5,'
        f'X-100MSLIVE-PAYLOAD="{encoded}"\n'
    )


def encode(envelope: object) -> str:
    return base64.b64encode(json.dumps(envelope).encode()).decode()


def test_segments_are_numbered_and_their_urls_absolute() -> None:
    playlist = media(f"{HEAD}#EXTINF:2.0,\na.ts\n#EXTINF:1.5,\n/b.ts?token=x\n")
    assert [s.sequence for s in playlist.segments] == [7, 8]
    assert [s.resource.url for s in playlist.segments] == [
        "https://cdn.example/room/720p/a.ts",
        "https://cdn.example/b.ts?token=x",
    ]
    assert [s.duration for s in playlist.segments] == [2.0, 1.5]
    assert (playlist.ended, playlist.vod) == (False, False)


def test_program_date_time_is_carried_on_in_utc() -> None:
    stamp = "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T14:00:00.250+02:00\n"
    playlist = media(f"{HEAD}{stamp}#EXTINF:2.0,\na.ts\n#EXTINF:2.0,\nb.ts\n")
    assert [s.program_date_time for s in playlist.segments] == [
        datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC),
        datetime(2026, 1, 1, 12, 0, 2, 250_000, tzinfo=UTC),
    ]


def test_discontinuities_gaps_and_keys() -> None:
    playlist = media(
        f"{HEAD}#EXTINF:2,\na.ts\n#EXT-X-DISCONTINUITY\n#EXT-X-GAP\n#EXTINF:2,\nb.ts\n"
        '#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:2,\nc.ts\n'
        "#EXT-X-KEY:METHOD=NONE\n#EXTINF:2,\nd.ts\n"
    )
    assert [s.discontinuity for s in playlist.segments] == [False, True, False, False]
    assert [s.declared_gap for s in playlist.segments] == [False, True, False, False]
    assert [s.encryption for s in playlist.segments] == [None, None, "AES-128", None]


def test_byte_ranges_and_initialisation_sections() -> None:
    playlist = media(
        f'{HEAD}#EXT-X-MAP:URI="init.mp4",BYTERANGE="100@0"\n'
        "#EXT-X-BYTERANGE:50@100\n#EXTINF:2,\nall.mp4\n#EXT-X-BYTERANGE:60\n#EXTINF:2,\nall.mp4\n"
    )
    first, second = playlist.segments
    assert first.initialization is not None
    assert first.initialization.byte_range == ByteRange(offset=0, length=100)
    assert first.resource.byte_range == ByteRange(offset=100, length=50)
    assert second.resource.byte_range == ByteRange(offset=150, length=60)


def test_ends_and_recordings() -> None:
    recording = media(f"{HEAD}#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:2,\na.ts\n#EXT-X-ENDLIST\n")
    assert (recording.ended, recording.vod) == (True, True)
    assert not media(f"{HEAD}#EXT-X-PLAYLIST-TYPE:EVENT\n#EXTINF:2,\na.ts\n").vod


def test_timed_metadata_of_100ms_is_decoded() -> None:
    playlist = media(
        f"{HEAD}#EXTINF:2,\na.ts\n{mark(encode({'payload': 'goal'}))}#EXTINF:2,\nb.ts\n"
    )
    (found,) = playlist.date_ranges
    assert (found.id, found.payload, found.duration, found.sequence) == ("m1", "goal", 2.5, 8)
    assert found.start == datetime(2026, 1, 1, 12, 0, 1, 500_000, tzinfo=UTC)


def test_a_payload_that_is_an_object_arrives_as_json() -> None:
    playlist = media(f"{HEAD}{mark(encode({'payload': {'goal': 1}}))}#EXTINF:2,\nb.ts\n")
    assert playlist.date_ranges[0].payload == '{"goal": 1}'


@pytest.mark.parametrize(
    "line",
    [
        '#EXT-X-DATERANGE:ID="m",START-DATE="yesterday"\n',
        '#EXT-X-DATERANGE:START-DATE="2026-01-01T12:00:00Z"\n',
        '#EXT-X-DATERANGE:ID="m",START-DATE="2026-01-01T12:00:00Z",DURATION=soon\n',
    ],
)
def test_malformed_timed_metadata_is_left_out_and_the_rest_stays(line: str) -> None:
    playlist = media(f"{HEAD}{line}#EXTINF:2,\na.ts\n")
    assert playlist.date_ranges == ()
    assert len(playlist.segments) == 1


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ("not base64!", "not the base64"),
        (base64.b64encode(b"not json").decode(), "not the base64"),
        (encode(["no object"]), "not the base64"),
        (encode({"no": "payload"}), "not the base64"),
        (encode({"payload": "x" * 5000}), "longer than 4096 characters"),
    ],
)
def test_a_payload_that_cannot_be_read_is_left_empty_and_says_why(
    payload: str, problem: str
) -> None:
    (found,) = media(f"{HEAD}{mark(payload)}#EXTINF:2,\na.ts\n").date_ranges
    assert found.payload == ""
    assert found.problem.startswith(problem)


def test_a_master_playlist_gives_variants() -> None:
    parsed = parse_playlist(
        '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="en",URI="audio.m3u8"\n'
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="in",NAME="en"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=2000000,RESOLUTION=1280x720,CODECS="avc1.64,mp4a",AUDIO="a"\n'
        "720.m3u8\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=640x360,AUDIO="in"\n360.m3u8\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2"\nsound.m3u8\n',
        url="https://cdn.example/room/master.m3u8",
    )
    assert isinstance(parsed, MasterPlaylist)
    assert [v.name for v in parsed.variants] == ["720p", "360p", "audio"]
    assert [v.separate_audio for v in parsed.variants] == [True, False, False]
    assert parsed.variants[0].url == "https://cdn.example/room/720.m3u8"


@pytest.mark.parametrize("text", ["", "<html>", "{}", "\x89PNG", "EXTM3U", "#EXT-X-VERSION:3"])
def test_other_things_are_no_playlists(text: str) -> None:
    with pytest.raises(NotAPlaylistError, match="begins with"):
        parse_playlist(text, url=URL)


@given(
    lines=st.lists(
        st.one_of(
            st.sampled_from(
                [
                    "#EXTINF:2.0,",
                    "#EXTINF:x,",
                    "#EXTINF:nan",
                    "a.ts",
                    "#EXT-X-BYTERANGE:-1@x",
                    "#EXT-X-KEY:METHOD",
                    "#EXT-X-MAP:BYTERANGE=5",
                    "#EXT-X-STREAM-INF:BANDWIDTH=x",
                    "#EXT-X-STREAM-INF:",
                    "#EXT-X-DATERANGE:DURATION=x",
                    "#EXT-X-PROGRAM-DATE-TIME:never",
                    "#EXT-X-DISCONTINUITY",
                    "#EXT-X-ENDLIST",
                    "#EXT-X-TARGETDURATION:1e9",
                ]
            ),
            st.text(max_size=40),
        ),
        max_size=12,
    )
)
def test_whatever_is_in_it_a_playlist_is_parsed_or_refused(lines: list[str]) -> None:
    try:
        parsed = parse_playlist("\n".join(["#EXTM3U", *lines]), url=URL)
    except NotAPlaylistError:
        return
    assert isinstance(parsed, MasterPlaylist | MediaPlaylist)


@pytest.mark.parametrize(
    ("media_lines", "found"),
    [
        ("", None),
        ('#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="A",URI="a/x.m3u8"\n', "a/x.m3u8"),
        (
            (
                '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="A",URI="a.m3u8"\n'
                '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="B",DEFAULT=YES,URI="b.m3u8"\n'
            ),
            "b.m3u8",
        ),
        ('#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="s",NAME="A",INSTREAM-ID="CC1"\n', None),
        ('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="s",NAME="A",URI="a.m3u8"\n', None),
    ],
)
def test_the_default_captions_of_a_stream_are_found(media_lines: str, found: str | None) -> None:
    text = f"#EXTM3U\n{media_lines}#EXT-X-STREAM-INF:BANDWIDTH=1\n720p/index.m3u8\n"
    master = parse_playlist(text, url="https://cdn.example/room/master.m3u8")
    assert isinstance(master, MasterPlaylist)
    assert master.captions_url == (found and f"https://cdn.example/room/{found}")
