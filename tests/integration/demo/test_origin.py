"""The origin as a player meets it: real ffmpeg, real HTTP, a stream of twelve seconds at 40x."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import av
import httpx
import m3u8
import pytest

from demo.errors import PackagingError, UnusableInputError
from demo.origin import Faults, LiveOrigin, Mark, OriginOptions
from demo.origin.captions import Caption
from demo.origin.faults import EncoderRestart
from tests.factories.media import make_video

PACE = 40.0
WRAP = 1 << 33


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("media") / "clock.mp4", seconds=12)


class Player:
    """Reads a stream over HTTP."""

    def __init__(self, origin: LiveOrigin) -> None:
        self.origin = origin
        self.http = httpx.AsyncClient()

    async def master(self) -> m3u8.M3U8:
        response = await self.http.get(self.origin.master_url)
        response.raise_for_status()
        return m3u8.loads(response.text)

    async def media_url(self, variant: int = 0) -> str:
        return str(urljoin(self.origin.master_url, (await self.master()).playlists[variant].uri))

    async def media(self) -> m3u8.M3U8:
        url = await self.media_url()
        response = await self.http.get(url)
        response.raise_for_status()
        return m3u8.loads(response.text, uri=url)

    async def segments(self) -> list[bytes]:
        playlist = await self.media()
        return [
            (await self.http.get(s.absolute_uri)).raise_for_status().content
            for s in playlist.segments
        ]


@asynccontextmanager
async def playing(path: Path, **options: object) -> AsyncIterator[Player]:
    settings = OriginOptions.model_validate({"pace": PACE, **options})
    async with LiveOrigin(path, settings) as origin:
        player = Player(origin)
        async with player.http:
            yield player


@asynccontextmanager
async def played(path: Path, **options: object) -> AsyncIterator[Player]:
    async with playing(path, **options) as player:
        await player.origin.finished.wait()
        yield player


def timestamps(segment: bytes, kind: str) -> list[int]:
    """Return the PTS of a segment's packets, in ticks of 90 kHz and without unwrapping."""
    with av.open(io.BytesIO(segment), "r", options={"correct_ts_overflow": "0"}) as container:
        stream = next(s for s in container.streams if s.type == kind)
        return sorted(p.pts for p in container.demux(stream) if p.pts is not None)


async def test_the_address_has_the_form_of_100ms(video: Path) -> None:
    async with playing(video) as player:
        parts = urlsplit(player.origin.master_url).path.split("/")
    assert [parts[1], parts[-1], len(parts)] == ["beam", "master.m3u8", 7]
    assert (len(parts[4]), len(parts[5])) == (8, 13)
    assert parts[4].isdecimal()
    assert parts[5].isdecimal()


async def test_a_room_has_an_address_of_its_own_that_leads_to_the_session(video: Path) -> None:
    async with played(video) as player:
        room_url = player.origin.master_url.rsplit("/", 3)[0] + "/master.m3u8"
        uri = m3u8.loads((await player.http.get(room_url)).text).playlists[0].uri
        assert urljoin(room_url, uri) == await player.media_url()


async def test_nothing_is_there_before_the_stream_begins(video: Path) -> None:
    async with playing(video, autostart=False) as player:
        assert (await player.http.get(player.origin.master_url)).status_code == 404
        await player.origin.wait_requested()
        player.origin.begin()
        await player.origin.wait_published(1)
        assert (await player.master()).playlists


async def test_two_second_segments_are_published_up_to_the_end_of_the_input(video: Path) -> None:
    async with played(video) as player:
        playlist = await player.media()
        assert [round(s.duration, 2) for s in playlist.segments] == [2.0] * 6
        assert playlist.is_endlist
        assert player.origin.position == pytest.approx(12.0, abs=0.05)


async def test_the_window_slides_and_old_segments_disappear_later(video: Path) -> None:
    async with played(video, window=2) as player:
        url = await player.media_url()
        listed = (await player.media()).segments
        assert [s.uri for s in listed] == ["segment_00004.ts", "segment_00005.ts"]
        codes = [
            (await player.http.get(urljoin(url, f"segment_{i:05d}.ts"))).status_code
            for i in (1, 2, 6)
        ]
        assert codes == [404, 200, 404]


async def test_segments_are_not_served_before_they_are_published(video: Path) -> None:
    async with playing(video, pace=1.0, segment_duration=0.5) as player:
        await player.origin.wait_published(1)
        url = urljoin(await player.media_url(), "segment_00005.ts")
        assert (await player.http.get(url)).status_code == 404


async def test_program_date_time_follows_the_pace(video: Path) -> None:
    async with played(video) as player:
        times = [s.program_date_time for s in (await player.media()).segments]
        steps = [(b - a).total_seconds() for a, b in pairwise(times)]
        assert all(step >= 2 / PACE - 0.0015 for step in steps)
        assert abs((times[0] - player.origin.live_at(0)).total_seconds()) < 0.002


async def test_a_playlist_that_has_not_changed_is_not_sent_again(video: Path) -> None:
    async with played(video) as player:
        url = await player.media_url()
        etag = (await player.http.get(url)).headers["etag"]
        again = await player.http.get(url, headers={"If-None-Match": etag})
        assert (again.status_code, again.content) == (304, b"")


async def test_captions_are_listed_beside_the_media_and_lie_on_its_clock(video: Path) -> None:
    said = (Caption(start=3.0, end=5.0, text="A & B"),)
    async with played(video, captions=said, playlist_type="event") as player:
        master = await player.master()
        (media,) = [each for each in master.media if each.type == "SUBTITLES"]
        assert master.playlists[0].stream_info.subtitles == media.group_id
        url = urljoin(player.origin.master_url, media.uri)
        playlist = m3u8.loads((await player.http.get(url)).text, uri=url)
        texts = [(await player.http.get(each.absolute_uri)).text for each in playlist.segments]
        first = (await player.segments())[0]
        stamps = [*timestamps(first, "video"), *timestamps(first, "audio")]
        missing = await player.http.get(urljoin(url, "segment_00099.vtt"))
    assert len(texts) == player.origin.published
    assert f"X-TIMESTAMP-MAP=MPEGTS:{min(stamps)},LOCAL:00:00:00.000" in texts[0]
    cue = "00:00:03.000 --> 00:00:05.000\nA &amp; B"
    assert [cue in text for text in texts] == [False, True, True, False, False, False]
    assert missing.status_code == 404


async def test_without_captions_no_playlist_of_them_is_listed(video: Path) -> None:
    async with played(video) as player:
        assert not (await player.master()).media
        url = urljoin(player.origin.master_url, "captions/index.m3u8")
        assert (await player.http.get(url)).status_code == 404


async def test_the_ladder_is_cut_at_the_same_places(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", seconds=4, size="854x480", rate="10")
    async with played(source, ladder=True) as player:
        assert [p.stream_info.resolution for p in (await player.master()).playlists] == [
            (854, 480),
            (640, 360),
        ]
        for variant in (0, 1):
            base = await player.media_url(variant)
            first = await player.http.get(urljoin(base, "segment_00001.ts"))
            assert timestamps(first.content, "video")[0] == pytest.approx(306_000, abs=18_000)


@pytest.mark.parametrize(("tracks", "kinds"), [("audio", {"audio"}), ("video", {"video"})])
@pytest.mark.parametrize("container", ["mpegts", "fmp4"])
async def test_sound_or_pictures_can_be_sent_alone(
    video: Path, tracks: str, kinds: set[str], container: str
) -> None:
    async with played(video, tracks=tracks, container=container) as player:
        playlist = await player.media()
        data = (await player.segments())[0]
        if container == "fmp4":
            init = await player.http.get(playlist.segments[0].init_section.absolute_uri)
            data = init.content + data
        with av.open(io.BytesIO(data)) as opened:
            assert {s.type for s in opened.streams} == kinds


async def test_fragmented_mp4_keeps_its_place_in_time(video: Path) -> None:
    async with played(video, container="fmp4") as player:
        playlist = await player.media()
        init = await player.http.get(playlist.segments[0].init_section.absolute_uri)
        third = (await player.segments())[2]
        with av.open(io.BytesIO(init.content + third), "r") as opened:
            stream = opened.streams.video[0]
            first = next(p for p in opened.demux(stream) if p.pts is not None)
            assert float(first.pts * stream.time_base) == pytest.approx(4.0, abs=0.1)  # type: ignore[operator]


async def test_a_discontinuity_is_announced_and_real_in_either_container(video: Path) -> None:
    async with played(video, faults={"discontinuities": [3]}) as player:
        marks = [bool(s.discontinuity) for s in (await player.media()).segments]
        stamps = [timestamps(data, "video")[0] for data in await player.segments()]
        assert marks == [False, False, False, True, False, False]
        assert stamps[2] - stamps[1] == pytest.approx(180_000, abs=10)
        assert stamps[3] - stamps[2] > 1_000_000


async def test_timestamps_wrap_at_33_bits_in_the_bytes(video: Path) -> None:
    async with played(video, faults={"pts_wrap_in": 2}) as player:
        segments = await player.segments()
        before, wrapping, after = (timestamps(segments[i], "video") for i in (1, 2, 3))
        assert WRAP - 400_000 < before[0] < before[-1] < WRAP
        assert wrapping[0] < 100_000
        assert wrapping[-1] > WRAP - 100_000
        assert after[-1] < 400_000


async def test_wrapped_segments_still_decode(video: Path) -> None:
    async with played(video, faults={"pts_wrap_in": 2}) as player:
        with av.open(io.BytesIO((await player.segments())[2]), "r") as container:
            assert sum(1 for _ in container.decode(video=0)) == 50


async def test_a_restarted_encoder_starts_from_its_first_timestamps(video: Path) -> None:
    restart = EncoderRestart(at=3, reset_sequence=True)
    async with played(video, faults=Faults(restart=restart)) as player:
        playlist = await player.media()
        assert (playlist.media_sequence, len(playlist.segments)) == (0, 3)
        assert playlist.segments[0].discontinuity
        first = timestamps((await player.segments())[0], "video")[0]
        assert first == pytest.approx(126_000, abs=10_000)


async def test_missing_and_declared_gaps_are_listed_but_absent(video: Path) -> None:
    async with played(video, faults={"missing": [1], "gaps": [2]}) as player:
        segments = (await player.media()).segments
        codes = [(await player.http.get(s.absolute_uri)).status_code for s in segments]
        assert codes == [200, 404, 404, 200, 200, 200]
        assert [bool(s.gap_tag) for s in segments] == [False, False, True, False, False, False]


async def test_passing_errors_pass(video: Path) -> None:
    faults = {
        "errors": [{"segment": 0, "status": 500, "times": 2}],
        "playlist_errors": {"after": 5, "status": 503, "times": 1},
    }
    async with played(video, faults=faults) as player:
        url = await player.media_url()
        assert [(await player.http.get(url)).status_code for _ in range(2)] == [503, 200]
        segment = urljoin(url, "segment_00000.ts")
        codes = [(await player.http.get(segment)).status_code for _ in range(3)]
        assert codes == [500, 500, 200]


async def test_a_slow_segment_trickles(video: Path) -> None:
    faults = {"slow": [{"segment": 0, "bytes_per_second": 1000}]}
    async with played(video, faults=faults) as player:
        url = urljoin(await player.media_url(), "segment_00000.ts")
        async with player.http.stream("GET", url) as response:
            chunk = await anext(response.aiter_raw())
            assert len(chunk) <= 1000 < int(response.headers["content-length"])


@pytest.mark.parametrize("damage", ["noise", "truncated", "empty"])
async def test_a_damaged_segment_is_not_what_was_encoded(video: Path, damage: str) -> None:
    faults = {"corrupt": [{"segment": 1, "damage": damage}]}
    async with played(video) as sound, played(video, faults=faults) as broken:
        good, bad = (await sound.segments())[1], (await broken.segments())[1]
    sizes = {"noise": len(good), "truncated": len(good) // 2, "empty": 0}
    assert len(bad) == sizes[damage]
    assert (bad == good[: len(bad)]) is (damage != "noise")


@pytest.mark.parametrize("declared", [True, False])
async def test_an_oversized_segment_never_seems_to_end(video: Path, *, declared: bool) -> None:
    faults = {"oversized": [{"segment": 0, "declared": declared}]}
    async with played(video, faults=faults) as player:
        url = urljoin(await player.media_url(), "segment_00000.ts")
        received = 0
        async with player.http.stream("GET", url) as response:
            assert response.headers.get("content-length") == ("10000000000" if declared else None)
            async for chunk in response.aiter_raw():
                received += len(chunk)
                if received > 3_000_000:
                    break
        assert received > 3_000_000
        assert (await player.http.get(player.origin.master_url)).status_code == 200


async def test_a_stalled_encoder_shifts_the_clock(video: Path) -> None:
    faults = {"stall": {"after": 2, "seconds": 0.4}}
    async with played(video, faults=faults) as player:
        before, after = player.origin.segments[2:4]
        pause = (after.published_at - before.published_at).total_seconds()
        assert pause >= 0.4 + 2 / PACE - 0.001
        assert player.origin.live_at(6.5) > before.published_at


async def test_a_stalled_playlist_catches_up(video: Path) -> None:
    # Long enough that a busy machine looks at it before it is over.
    faults = {"stall": {"after": 2, "seconds": 4.0, "catch_up": True}}
    async with playing(video, faults=faults) as player:
        await player.origin.wait_published(6)
        assert len((await player.media()).segments) == 3
        await player.origin.finished.wait()
        assert len((await player.media()).segments) == 6


async def test_a_regressing_playlist_shows_the_past(video: Path) -> None:
    faults = {"regression": {"at": 5, "by": 3, "times": 1}}
    async with played(video, faults=faults) as player:
        assert [len((await player.media()).segments) for _ in range(2)] == [3, 6]


async def test_an_encrypted_stream_has_no_key_to_be_had(video: Path) -> None:
    async with played(video, faults={"encrypted": True}) as player:
        key = (await player.media()).keys[0]
        assert (await player.http.get(key.absolute_uri)).status_code == 404
        assert (await player.segments())[0][:1] != b"\x47"


@pytest.mark.parametrize(
    ("end", "status", "endlist"), [("endlist", 200, True), ("silent", 200, False)]
)
async def test_the_stream_ends_with_or_without_saying_so(
    video: Path, end: str, status: int, *, endlist: bool
) -> None:
    async with played(video, faults={"end": end, "stop_after": 2}) as player:
        playlist = await player.media()
        assert (len(playlist.segments), playlist.is_endlist) == (2, endlist)


async def test_the_stream_may_be_gone_at_its_end(video: Path) -> None:
    async with played(video, faults={"end": "gone"}) as player:
        assert (await player.http.get(player.origin.master_url)).status_code == 404


async def test_a_recording_is_a_vod_playlist(video: Path) -> None:
    async with played(video, playlist_type="vod") as player:
        playlist = await player.media()
        assert (playlist.playlist_type, playlist.is_endlist) == ("vod", True)
        assert len(playlist.segments) == 6


async def test_an_event_playlist_keeps_everything(video: Path) -> None:
    async with played(video, playlist_type="event", window=2) as player:
        playlist = await player.media()
        assert (playlist.playlist_type, len(await player.segments())) == ("event", 6)


@pytest.mark.parametrize("master", ["html", "binary"])
async def test_something_else_may_stand_in_the_place_of_the_playlist(
    video: Path, master: str
) -> None:
    async with played(video, faults={"master": master}) as player:
        response = await player.http.get(player.origin.master_url)
        assert response.status_code == 200
        assert not response.content.startswith(b"#EXTM3U")


async def test_a_stream_may_never_start(video: Path) -> None:
    async with played(video, faults={"master": "missing"}) as player:
        assert (await player.http.get(player.origin.master_url)).status_code == 404


async def test_a_gzip_bomb_unpacks_to_what_it_says(video: Path) -> None:
    faults = {"master": "gzip_bomb", "bomb_bytes": 8_000_000}
    async with played(video, faults=faults) as player:
        async with player.http.stream("GET", player.origin.master_url) as response:
            wire = [chunk async for chunk in response.aiter_raw()]
        unpacked = await player.http.get(player.origin.master_url)
    assert sum(map(len, wire)) < 20_000
    assert len(unpacked.content) > 7_900_000


@pytest.mark.parametrize("of", ["master", "media", "segment"])
async def test_requests_may_be_sent_elsewhere(video: Path, of: str) -> None:
    faults = {"redirect": {"of": of, "location": "http://169.254.169.254/latest"}}
    async with played(video, faults=faults) as player:
        url = player.origin.master_url
        if of != "master":
            url = urljoin(url, "180p/index.m3u8" if of == "media" else "180p/segment_00000.ts")
        response = await player.http.get(url)
        assert (response.status_code, response.headers["location"]) == (
            302,
            "http://169.254.169.254/latest",
        )


async def test_timed_metadata_is_listed(video: Path) -> None:
    marks = (Mark(at=3.0, payload="goal"),)
    async with played(video, marks=marks) as player:
        (found,) = [d for s in (await player.media()).segments for d in s.dateranges]
        assert found.id == "mark-0"


async def test_leaving_stops_everything_and_removes_all_files(video: Path, tmp_path: Path) -> None:
    async with playing(video, pace=1.0, directory=tmp_path / "work") as player:
        await player.origin.wait_published(1)
        url = player.origin.master_url
        assert list((tmp_path / "work").iterdir())
    assert not list((tmp_path / "work").iterdir())
    async with httpx.AsyncClient() as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(url)


async def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableInputError, match="no file"):
        async with LiveOrigin(tmp_path / "absent.mp4"):
            pass


async def test_a_file_that_is_no_media_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("not a video")
    with pytest.raises(UnusableInputError, match="not a media file"):
        async with LiveOrigin(tmp_path / "notes.mp4"):
            pass


@pytest.fixture
def broken(video: Path, tmp_path: Path) -> Path:
    """A file whose index is whole and whose media are all zeros."""
    data = video.read_bytes()
    start = data.index(b"mdat") + 4
    path = tmp_path / "broken.mp4"
    path.write_bytes(data[:start] + bytes(len(data) - start - 20_000) + data[-20_000:])
    return path


async def test_a_file_that_cannot_be_packaged_is_refused_with_the_reason(broken: Path) -> None:
    with pytest.raises((PackagingError, UnusableInputError), match=r"broken\.mp4"):
        async with LiveOrigin(broken, OriginOptions(pace=PACE)):
            pass


async def test_the_parts_of_a_segment_are_its_bytes_and_a_request_waits_for_its_listing(
    video: Path,
) -> None:
    options = OriginOptions(part_duration=0.5, pace=4.0, keep_all=True)
    async with LiveOrigin(video, options) as origin, httpx.AsyncClient(timeout=60.0) as http:
        await origin.wait_published(1)
        number = origin.published
        folder = origin.master_url.rpartition("/")[0] + f"/{origin.channel.variants[0].name}"
        response = await http.get(f"{folder}/index.m3u8?_HLS_msn={number + 1}")
        names = [origin.channel.name_of(number)]
        names += [f"part_{number:05d}_{each}.ts" for each in range(4)]
        whole, *parts = [(await http.get(f"{folder}/{each}")).content for each in names]
        refused = await http.get(f"{folder}/index.m3u8?_HLS_msn={number + 90}")
    assert origin.channel.name_of(number + 1) in response.text
    assert len(whole) > 0
    assert b"".join(parts) == whole
    assert all(parts)
    assert refused.status_code == 400
