"""Playlist text to values."""

from __future__ import annotations

import base64
import json
import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ingest.playlist import ByteRange, MasterPlaylist, MediaPlaylist
from infra.media.hls_playlist import MissingVariableError, NotAPlaylistError, parse_playlist

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


def lines(*tags: str) -> str:
    return "".join(f"{tag}\n" for tag in tags)


@pytest.mark.parametrize(
    ("tags", "dropped"),
    [
        (['#EXT-X-PART:DURATION=0.3,URI="p.mp4"'], None),
        (["#EXT-X-PROGRAM-DATE-TIME:2026-01-01T12:00:37R"], "EXT-X-PROGRAM-DATE-TIME"),
        (["#EXT-X-PROGRAM-DATE-TIME:"], "EXT-X-PROGRAM-DATE-TIME"),
        (["#EXT-X-PROGRAM-DATE-TIME:0001-01-01T00:00:00+14:00"], "EXT-X-PROGRAM-DATE-TIME"),
        (["#EXT-X-PROGRAM-DATE-TIME:9999-12-31T23:59:59Z"], "EXT-X-PROGRAM-DATE-TIME"),
        (["#EXT-X-TARGETDURATION:2.0"], None),
        (["#EXT-X-TARGETDURATION:"], "EXT-X-TARGETDURATION"),
        (["#EXT-X-TARGETDURATION:-1"], "EXT-X-TARGETDURATION"),
        (["#EXT-X-TARGETDURATION:nan"], "EXT-X-TARGETDURATION"),
        (["#EXT-X-VERSION:six"], None),
        (["#EXT-X-MEDIA-SEQUENCE:"], "EXT-X-MEDIA-SEQUENCE"),
        (["#EXT-X-MEDIA-SEQUENCE:seven"], "EXT-X-MEDIA-SEQUENCE"),
        (["#EXT-X-DISCONTINUITY-SEQUENCE:x"], None),
        (["#EXT-X-START:TIME-OFFSET"], None),
        (["#EXT-X-BITRATE:fast"], None),
        (["#EXT-X-SERVER-CONTROL:=,=,CAN-BLOCK-RELOAD"], None),
        (["#EXT-X-PRELOAD-HINT:TYPE=PART"], "EXT-X-PRELOAD-HINT"),
        (["#EXT-X-CONTENT-STEERING:"], None),
        (["#EXT-X-SKIP:SKIPPED-SEGMENTS=many"], "EXT-X-SKIP"),
        (["#EXT-X-MAP:"], "EXT-X-MAP"),
        (['#EXT-X-MAP:URI="http://[x/init.mp4"'], "EXT-X-MAP"),
        (["#EXT-X-KEY:IV=0x1"], "EXT-X-KEY"),
        (["#EXT-X-PLAYLIST-TYPE:LIVE"], "EXT-X-PLAYLIST-TYPE"),
        (["#EXT-X-DEFINE:VALUE"], "EXT-X-DEFINE"),
        (["#EXT-X-DEFINE:QUERYPARAM="], "EXT-X-DEFINE"),
        (["#EXT-X-BYTERANGE:"], "EXT-X-BYTERANGE"),
        (["#EXT-X-DATERANGE:" + "x" * 70_000], "EXT-X-DATERANGE"),
        (["a line that is no tag"], "URI"),
        (["#EXT", "#", "#EXT-X-"], None),
        (["#EXT-X-STREAM-INF:BANDWIDTH=x"], None),
        (["\x00#EXT-X-CUE-OUT:\x00"], None),
    ],
)
def test_a_tag_that_cannot_be_understood_costs_that_tag(
    tags: list[str], dropped: str | None
) -> None:
    text = f"{HEAD}#EXTINF:2.0,\na.ts\n{lines(*tags)}#EXTINF:1.5,\nb.ts\n"
    if dropped is None and tags[0].startswith("#EXT-X-STREAM-INF"):
        text = text.replace("#EXTINF:1.5,\nb.ts\n", "b.m3u8\n#EXTINF:1.5,\nb.ts\n")
    playlist = media(text)
    assert [(s.sequence, s.duration) for s in playlist.segments] == [(7, 2.0), (8, 1.5)]
    assert playlist.target_duration == 2.0
    assert dict(playlist.dropped) == ({dropped: 1} if dropped else {})


@pytest.mark.parametrize(
    "extinf", ["#EXTINF:-1,", "#EXTINF:", "#EXTINF", "#EXTINF:x", "#EXTINF:nan,", "#EXTINF:1e999,"]
)
def test_a_segment_without_a_readable_duration_gets_the_target_duration(extinf: str) -> None:
    playlist = media(f"{HEAD}{extinf}\na.ts\n#EXTINF:1.5,title\nb.ts\n")
    assert [s.duration for s in playlist.segments] == [2.0, 1.5]


def test_trailing_partial_segments_are_no_segments() -> None:
    playlist = media(
        f"{HEAD}#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.0\n"
        "#EXT-X-PART-INF:PART-TARGET=0.5\n#EXTINF:2,\na.ts\n"
        '#EXT-X-PART:DURATION=0.5,URI="b.0.ts"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI="b.1.ts"\n'
    )
    assert [s.sequence for s in playlist.segments] == [7]
    assert playlist.server.can_block_reload
    assert [(each.sequence, len(each.parts)) for each in playlist.partial] == [(8, 1)]


def test_segments_left_out_of_a_delta_update_keep_their_numbers() -> None:
    playlist = media(f"{HEAD}#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n#EXTINF:2,\nd.ts\n")
    assert [s.sequence for s in playlist.segments] == [10]


@pytest.mark.parametrize(
    "line_end", ["\n", "\r\n", "\r", " \n", "\n\n"], ids=["lf", "crlf", "cr", "space", "empty"]
)
def test_line_ends_and_byte_order_marks_are_no_content(line_end: str) -> None:
    text = f"\ufeff{HEAD}#EXTINF:2,\na.ts\n".replace("\n", line_end)
    assert [s.resource.url for s in media(text).segments] == ["https://cdn.example/room/720p/a.ts"]


@pytest.mark.parametrize(
    ("number", "read"),
    [
        (10**6, 10**6),
        (1_700_000_000_000, 1_700_000_000_000),
        (2**53 + 5, 5),
        (2**63 + 5, 5),
        (2**64 + 5, 5),
    ],
)
def test_numbers_are_bounded_and_still_count_up(number: int, read: int) -> None:
    playlist = media(f"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:{number}\n#EXTINF:2,\na\n#EXTINF:2,\nb\n")
    assert [s.sequence for s in playlist.segments] == [read, read + 1]
    assert playlist.media_sequence == read


@pytest.mark.parametrize("uri", ["http://[x/b.ts", "http://x:port/b.ts", "b" * 9000 + ".ts"])
def test_a_segment_whose_url_is_malformed_keeps_its_number_and_says_why(uri: str) -> None:
    playlist = media(f"{HEAD}#EXTINF:2,\na.ts\n#EXTINF:2,\n{uri}\n#EXTINF:2,\nc.ts\n")
    assert [(s.sequence, bool(s.problem)) for s in playlist.segments] == [
        (7, False),
        (8, True),
        (9, False),
    ]
    assert "URL" in playlist.segments[1].problem


def test_a_date_that_cannot_be_read_is_derived_unless_the_media_was_interrupted() -> None:
    bad = "#EXT-X-PROGRAM-DATE-TIME:noon\n"
    good = "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T12:00:00Z\n"
    plain = media(f"{HEAD}{good}#EXTINF:2,\na.ts\n{bad}#EXTINF:2,\nb.ts\n")
    assert plain.segments[1].program_date_time == datetime(2026, 1, 1, 12, 0, 2, tzinfo=UTC)
    cut = media(f"{HEAD}{good}#EXTINF:2,\na.ts\n#EXT-X-DISCONTINUITY\n{bad}#EXTINF:2,\nb.ts\n")
    assert cut.segments[1].program_date_time is None


def test_keys_say_method_url_and_vector() -> None:
    playlist = media(
        f'{HEAD}#EXT-X-KEY:METHOD=AES-128,URI="k?t=1",IV=0x0a\n#EXTINF:2,\na.ts\n'
        '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x",KEYFORMAT="com.apple.streamingkeydelivery"\n'
        "#EXTINF:2,\nb.ts\n#EXT-X-KEY:METHOD=NONE\n#EXTINF:2,\nc.ts\n"
        '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x",KEYFORMAT="com.apple.streamingkeydelivery"\n'
        "#EXTINF:2,\nd.ts\n"
    )
    first, second, third, fourth = (segment.key for segment in playlist.segments)
    assert first is not None
    assert (first.method, first.url) == ("AES-128", "https://cdn.example/room/720p/k?t=1")
    assert first.iv == bytes(15) + b"\x0a"
    assert second == first  # the other format offers the same key to other clients
    assert third is None
    assert fourth is not None
    assert fourth.key_format == "com.apple.streamingkeydelivery"
    copied = type(playlist).model_validate_json(playlist.model_dump_json())
    assert copied == playlist


def test_a_master_keeps_its_good_variants() -> None:
    parsed = parse_playlist(
        "#EXTM3U\n#EXT-X-STREAM-INF:\na.m3u8\n"
        '#EXT-X-STREAM-INF:BANDWIDTH="900000",RESOLUTION="640x360",FRAME-RATE=fast\nb.m3u8\n'
        "#EXT-X-STREAM-INF:AVERAGE-BANDWIDTH=5,RESOLUTION=9x99999999999,FRAME-RATE=59.94\nc.m3u8\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://[x\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=2,VIDEO="{$undefined}"\nd.m3u8\n'
        "#EXT-X-STREAM-INF:BANDWIDTH=1\n{$undefined}.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=3\n",
        url="https://x/master.m3u8",
    )
    assert isinstance(parsed, MasterPlaylist)
    found = [(v.url, v.bandwidth, v.width, v.height, v.frame_rate) for v in parsed.variants]
    assert found == [
        ("https://x/a.m3u8", 0, None, None, None),
        ("https://x/b.m3u8", 900000, 640, 360, None),
        ("https://x/c.m3u8", 5, None, None, 59.94),
    ]


def test_a_master_without_a_readable_variant_says_so() -> None:
    with pytest.raises(NotAPlaylistError, match="none of its variants can be read: its URL"):
        parse_playlist("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://[x\n", url=URL)


def test_renditions_are_listed_with_their_groups() -> None:
    parsed = parse_playlist(
        '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",LANGUAGE="en",DEFAULT=YES,'
        'AUTOSELECT=YES,URI="en.m3u8"\n#EXT-X-MEDIA:GROUP-ID="a"\n'
        '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="Signs",FORCED=YES,URI="s.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a",SUBTITLES="s",CODECS="avc1.64"\nv.m3u8\n',
        url="https://x/master.m3u8",
    )
    assert isinstance(parsed, MasterPlaylist)
    audio, subtitles = parsed.renditions
    assert (audio.type, audio.group, audio.name, audio.language, audio.default) == (
        "AUDIO",
        "a",
        "English",
        "en",
        True,
    )
    assert (subtitles.type, subtitles.forced, subtitles.url) == (
        "SUBTITLES",
        True,
        "https://x/s.m3u8",
    )
    (variant,) = parsed.variants
    assert (variant.audio_group, variant.subtitles_group, variant.codecs) == ("a", "s", "avc1.64")


def test_variables_are_substituted_in_uris_and_attributes() -> None:
    playlist = parse_playlist(
        '#EXTM3U\n#EXT-X-DEFINE:NAME="base",VALUE="https://cdn.example/a"\n'
        '#EXT-X-DEFINE:NAME="deep",VALUE="{$base}/b"\n#EXT-X-DEFINE:IMPORT="token"\n'
        '#EXT-X-DEFINE:QUERYPARAM="session"\n#EXT-X-TARGETDURATION:2\n'
        '#EXT-X-MAP:URI="{$deep}/init.mp4?{$token}"\n#EXTINF:2,\n{$deep}/s0.mp4?{$session}{$x\n',
        url="https://x/live.m3u8?other=1&session=a%20b",
        variables={"token": "t=1"},
    )
    assert isinstance(playlist, MediaPlaylist)
    (segment,) = playlist.segments
    assert segment.resource.url == "https://cdn.example/a/b/s0.mp4?a b{$x"
    assert segment.initialization is not None
    assert segment.initialization.url == "https://cdn.example/a/b/init.mp4?t=1"


@pytest.mark.parametrize(
    ("define", "why"),
    [
        ("", "does not define"),
        ('#EXT-X-DEFINE:IMPORT="v"\n', "the master playlist does not define"),
        ('#EXT-X-DEFINE:QUERYPARAM="v"\n', "no query parameter"),
    ],
)
@pytest.mark.parametrize(
    "uses", ["#EXTINF:2,\n{$v}/a.ts\n", '#EXT-X-MAP:URI="{$v}.mp4"\n#EXTINF:2,\na.mp4\n']
)
def test_a_variable_that_nothing_defines_is_named(define: str, why: str, uses: str) -> None:
    with pytest.raises(MissingVariableError, match=rf"the variable v, .*{why}"):
        media(f"{HEAD}{define}{uses}")


def test_a_query_parameter_lost_in_a_redirect_is_taken_from_the_url_asked_for() -> None:
    playlist = parse_playlist(
        f'{HEAD}#EXT-X-DEFINE:QUERYPARAM="t"\n#EXTINF:2,\na.ts?t={{$t}}\n',
        url="https://edge/live.m3u8",
        requested_url="https://cdn/live.m3u8?t=5",
    )
    assert isinstance(playlist, MediaPlaylist)
    assert playlist.segments[0].resource.url == "https://edge/a.ts?t=5"


def test_variables_that_grow_from_one_another_are_bounded() -> None:
    defined = "".join(
        f'#EXT-X-DEFINE:NAME="v{n}",VALUE="{f"{{$v{n - 1}}}" * 10 if n else "x" * 10}"\n'
        for n in range(50)
    )
    with pytest.raises(NotAPlaylistError, match="expand to more than"):
        media(f"{HEAD}{defined}" + "#EXTINF:2,\n{$v49}.ts\n" * 10_000)


@pytest.mark.parametrize(
    ("escaped", "read"), [(r"\ud800", "\ufffd"), (r"a\u0000b", "ab"), (r"\ud83d\ude00", "😀")]
)
def test_text_that_could_not_be_stored_is_replaced(escaped: str, read: str) -> None:
    encoded = base64.b64encode(f'{{"payload":"{escaped}"}}'.encode()).decode()
    playlist = media(f"{HEAD}{mark(encoded)}#EXTINF:2,\na.ts\n")
    assert playlist.date_ranges[0].payload == read
    assert playlist.model_dump_json()


@pytest.mark.parametrize(
    "payload", ["9" * 5000, "[" * 100_000, '{"payload":' + "[" * 3000 + "]" * 3000 + "}", "NaN"]
)
def test_json_that_no_reader_survives_costs_its_item(payload: str) -> None:
    encoded = base64.b64encode(payload.encode()).decode()[:60_000]
    playlist = media(f"{HEAD}{mark(encoded)}#EXTINF:2,\na.ts\n")
    assert len(playlist.segments) == 1
    assert playlist.date_ranges[0].payload == ""
    assert playlist.date_ranges[0].problem


def test_reading_stays_linear_in_lines_that_invite_more() -> None:
    worst = [
        "#EXT-X-DATERANGE:" + "a" * 60_000,
        "#EXT-X-DATERANGE:" + "=," * 30_000,
        '#EXT-X-KEY:METHOD="' + "{$" * 20_000,
        "#EXTINF:" + "9" * 1_000_000,
        "x" * 1_000_000,
        "#EXT-X-PROGRAM-DATE-TIME:" + "1" * 1_000_000,
        "#EXT-X-MEDIA-SEQUENCE:" + "1" * 1_000_000,
    ]
    began = time.process_time()
    playlist = media(f"{HEAD}{lines(*worst)}" + "#EXTINF:2,\ns.ts\n" * 2_000)
    assert len(playlist.segments) == 2_001
    assert time.process_time() - began < 10


def _window(first: int, count: int, tags: str = "") -> str:
    entries = "".join(f"{tags}#EXTINF:2,\n{n}.ts\n" for n in range(first, first + count))
    return (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first}\n"
        f"#EXT-X-PROGRAM-DATE-TIME:2026-01-01T12:00:00Z\n{entries}"
    )


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (None, range(10, 20)),
        (5, range(10, 20)),
        (17, range(17, 20)),
        (19, range(19, 20)),
        (20, range(10, 20)),  # it does not reach that far
        (5000, range(10, 20)),
    ],
)
def test_what_was_read_before_is_left_out_of_a_long_window(
    since: int | None, expected: range
) -> None:
    whole = parse_playlist(_window(10, 10), url="https://x/live.m3u8")
    found = parse_playlist(_window(10, 10), url="https://x/live.m3u8", since=since)
    assert isinstance(whole, MediaPlaylist)
    assert isinstance(found, MediaPlaylist)
    assert found.segments == tuple(each for each in whole.segments if each.sequence in expected)
    assert found.media_sequence == 10


def test_byte_ranges_without_offsets_are_right_in_a_window_cut_short() -> None:
    text = _window(0, 10, tags="#EXT-X-BYTERANGE:100\n")
    text = re.sub(r"[0-9]+\.ts", "all.ts", text)
    whole = parse_playlist(text, url="https://x/live.m3u8")
    found = parse_playlist(text, url="https://x/live.m3u8", since=7)
    assert isinstance(whole, MediaPlaylist)
    assert isinstance(found, MediaPlaylist)
    assert found.segments[-3:] == whole.segments[-3:]
