"""Sound in a playlist of its own is put into the segments of the pictures."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from itertools import count
from pathlib import Path

import av
import pytest
from starlette.requests import Request
from starlette.responses import Response

from demo.ffmpeg import ffmpeg_path
from domain.streams.status import EndReason
from tests.integration.ingest.harness import (
    QUICK,
    Answer,
    IngestHarness,
    PartsOrigin,
    Story,
    static_origin,
)
from tests.integration.ingest.test_recordings import Recorder, recorder, retention

pytestmark = pytest.mark.timeout(60)

__all__ = ["recorder", "retention"]

LIMITS = QUICK.model_copy(update={"window_duration": 30.0})
MASTER = (
    '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="en",DEFAULT=YES,URI="sound.m3u8"\n'
    '#EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=160x90,CODECS="avc1.42c00c,mp4a.40.2",'
    'AUDIO="a"\npictures.m3u8\n'
)
DOLBY = ("ac3", "eac3")
Files = dict[str, bytes]


@pytest.fixture(scope="session")
def split(video: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Files]:
    """Return the pictures and the sound of six seconds, each in a container and a playlist."""
    made: dict[tuple[str, str], Files] = {}

    def make(track: str, container: str) -> Files:
        if (track, container) not in made:
            made[track, container] = _package(
                video, tmp_path_factory.mktemp("split"), track, container
            )
        return made[track, container]

    return make


def _package(video: Path, directory: Path, track: str, container: str) -> Files:
    name = "pictures" if track == "v" else "sound"
    seconds = "1" if track == "v" else "1.7"
    command = [ffmpeg_path(), "-hide_banner", "-nostdin", "-loglevel", "error", "-y", "-t", "6"]
    command += ["-i", str(video), "-map", f"0:{track}", "-c", "copy", "-f", "hls"]
    command += ["-muxdelay", "0", "-muxpreload", "0"]
    command += ["-hls_time", seconds, "-hls_list_size", "0"]
    if container in DOLBY:
        command += ["-c:a", container]
    if container == "fmp4":
        command += ["-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", f"{name}-init.mp4"]
    suffix = "m4s" if container == "fmp4" else "ts"
    command += ["-hls_segment_filename", str(directory / f"{name}%d.{suffix}")]
    subprocess.run([*command, str(directory / f"{name}.m3u8")], check=True, timeout=60)
    files = {path.name: path.read_bytes() for path in directory.iterdir()}
    form = {"packed": "aac", "ac3": "ac3", "eac3": "ec3"}.get(container)
    return _packed(files, form) if form else files


def _packed(files: Files, form: str) -> Files:
    """Turn MPEG-TS segments of sound into packed audio with its timestamp in an ID3 tag."""
    packed = {}
    for name, data in files.items():
        if not name.endswith(".ts"):
            packed[name] = data.replace(b".ts", f".{form}".encode())
            continue
        packed[name.replace(".ts", f".{form}")] = _elementary(data)
    return packed


def _elementary(data: bytes) -> bytes:
    with av.open(io.BytesIO(data), "r") as container:
        packets = [p for p in container.demux(audio=0) if p.size]
        first = packets[0].pts
        assert first is not None
        body = b"".join(bytes(packet) for packet in packets)
    owner = b"com.apple.streaming.transportStreamTimestamp\0" + first.to_bytes(8, "big")
    frame = b"PRIV" + len(owner).to_bytes(4, "big") + b"\0\0" + owner
    return b"ID3\x04\0\0" + bytes([0, 0, len(frame) >> 7, len(frame) & 0x7F]) + frame + body


async def hear(ingest: IngestHarness, story: Story) -> list[tuple[float, float]]:
    """Where the sound of each stored segment begins and ends, after its pictures' beginning."""
    heard = []
    for segment in story.segments:
        with av.open(str(await ingest.store.path(segment.key))) as container:
            assert len(container.streams.video) == 1
            packets = [
                (float(p.pts * p.time_base), float((p.duration or 0) * p.time_base))
                for p in container.demux(audio=0)
                if p.pts is not None and p.time_base is not None
            ]
            first, (last, duration) = min(packets)[0], max(packets)
            heard.append(
                (first - segment.first_timestamp, last + duration - segment.first_timestamp)
            )
    return heard


@pytest.mark.parametrize(
    ("pictures", "sound", "in_parts"),
    [
        ("ts", "ts", False),
        ("ts", "ts", True),
        ("fmp4", "fmp4", False),
        ("fmp4", "fmp4", True),
        ("ts", "packed", False),
        ("fmp4", "ts", False),
        ("ts", "fmp4", False),
        ("ts", "ac3", False),
        ("fmp4", "eac3", False),
    ],
)
async def test_segments_have_the_sound_of_their_own_time(
    ingest: IngestHarness,
    split: Callable[[str, str], Files],
    pictures: str,
    sound: str,
    in_parts: bool,
) -> None:
    answers: dict[str, Answer | str | bytes] = {"master.m3u8": MASTER}
    answers |= split("v", pictures) | split("a", sound)
    if in_parts:
        for path in ("pictures.m3u8", "sound.m3u8"):
            answers |= PartsOrigin(answers, path).answers
    async with static_origin(answers) as (base, hits):
        story = await ingest.follow(f"{base}/master.m3u8", LIMITS)
        assert all(
            n == 1 for path, n in hits.items() if path.endswith((".ts", ".m4s", "3", ".aac"))
        )
    assert story.reason is EndReason.PLAYLIST_ENDED
    assert story.sequences == list(range(6))
    assert all(segment.has_video and segment.has_audio for segment in story.segments)
    for begins, ends in (await hear(ingest, story))[:-1]:
        assert begins == pytest.approx(0.0, abs=0.08)
        assert ends == pytest.approx(1.0, abs=0.08)
    story.assert_timeline_whole()
    for segment in story.segments:
        assert (await ingest.store.path(segment.key)).stat().st_size == segment.size
        with av.open(str(await ingest.store.path(segment.key))) as container:
            assert segment.audio_track == container.streams.audio[0].id
            times = [frame.time for frame in container.decode(video=0) if frame.time is not None]
        assert len(times) == 25
        assert min(times) == pytest.approx(segment.first_timestamp, abs=0.001)


async def test_sound_that_is_missing_is_silence_and_costs_no_picture(
    ingest: IngestHarness, split: Callable[[str, str], Files]
) -> None:
    sound = {name: data for name, data in split("a", "ts").items() if name != "sound1.ts"}
    answers: dict[str, Answer | str | bytes] = {"master.m3u8": MASTER, **sound}
    answers |= split("v", "ts")
    async with static_origin(answers) as (base, _):
        story = await ingest.follow(f"{base}/master.m3u8", LIMITS)
    assert story.sequences == list(range(6))
    assert story.gaps == []
    assert [segment.has_audio for segment in story.segments] == [
        True,
        True,
        False,
        True,
        True,
        True,
    ]


async def test_a_rendition_that_is_not_there_leaves_the_pictures(
    ingest: IngestHarness, split: Callable[[str, str], Files]
) -> None:
    answers: dict[str, Answer | str | bytes] = {"master.m3u8": MASTER, **split("v", "ts")}
    async with static_origin(answers) as (base, _):
        story = await ingest.follow(f"{base}/master.m3u8", LIMITS)
    assert story.sequences == list(range(6))
    assert not any(segment.has_audio for segment in story.segments)


async def test_an_expired_address_of_the_sound_is_renewed_from_the_master_playlist(
    ingest: IngestHarness, split: Callable[[str, str], Files]
) -> None:
    sound, pictures = split("a", "ts"), split("v", "ts")
    listed = pictures["pictures.m3u8"].decode().split("#EXTINF")
    readings, masters = count(), count()

    def master(_: Request) -> Response:
        return Response(MASTER.replace("sound.m3u8", f"sound.m3u8?sig={next(masters)}"))

    def slowly(_: Request) -> Response:
        return Response("#EXTINF".join(listed[: 2 + next(readings) // 3]))

    def signed(request: Request) -> Response:
        expired = request.query_params["sig"] == "0"
        return Response(status_code=403) if expired else Response(sound["sound.m3u8"])

    answers: dict[str, Answer | str | bytes] = {**sound, **pictures, "master.m3u8": master}
    answers |= {"pictures.m3u8": slowly, "sound.m3u8": signed}
    async with static_origin(answers) as (base, _):
        story = await ingest.follow(f"{base}/master.m3u8", LIMITS)
    assert story.sequences == list(range(6))
    assert story.segments[-1].has_audio


async def test_sound_that_is_published_later_than_its_pictures_is_waited_for(
    ingest: IngestHarness, split: Callable[[str, str], Files]
) -> None:
    sound = split("a", "ts")
    whole = sound["sound.m3u8"].decode().replace("MEDIA-SEQUENCE:0", "MEDIA-SEQUENCE:700")
    readings = count()

    def growing(_: Request) -> Response:
        return Response("#EXTINF".join(whole.split("#EXTINF")[: 2 + next(readings)]))

    answers: dict[str, Answer | str | bytes] = {"master.m3u8": MASTER, **sound}
    answers |= {**split("v", "ts"), "sound.m3u8": growing}
    async with static_origin(answers) as (base, _):
        story = await ingest.follow(f"{base}/master.m3u8", LIMITS)
    assert all(segment.has_audio for segment in story.segments)
    for begins, ends in (await hear(ingest, story))[:-1]:
        assert begins == pytest.approx(0.0, abs=0.08)
        assert ends == pytest.approx(1.0, abs=0.08)


async def test_a_variant_that_has_sound_is_left_as_it_is(
    ingest: IngestHarness, segments: Files, split: Callable[[str, str], Files]
) -> None:
    entries = "".join(f"#EXTINF:1,\n{name}\n" for name in segments)
    pictures = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n{entries}#EXT-X-ENDLIST\n"
    answers: dict[str, Answer | str | bytes] = {"master.m3u8": MASTER, **segments}
    answers |= {"pictures.m3u8": pictures, **split("a", "ts")}
    async with static_origin(answers) as (base, hits):
        story = await ingest.follow(f"{base}/master.m3u8", LIMITS)
        assert not any(path.startswith("sound") for path in hits)
    assert [segment.size for segment in story.segments] == [len(d) for d in segments.values()]


async def test_another_worker_goes_on_with_the_sound(
    ingest: IngestHarness, split: Callable[[str, str], Files]
) -> None:
    limits = LIMITS.model_copy(update={"window_duration": 3.0})
    answers: dict[str, Answer | str | bytes] = {"master.m3u8": MASTER}
    answers |= split("v", "ts") | split("a", "ts")
    async with static_origin(answers) as (base, _):
        request = ingest.request(f"{base}/master.m3u8", limits)
        first = await ingest.window(request)
        following = request.model_copy(update={"cursor": first.cursor})
        second = await ingest.window(following, worker=ingest.worker())
    assert first.window is not None
    assert second.window is not None
    assert all(each.has_audio for each in (*first.window.segments, *second.window.segments))


async def test_a_recording_has_its_sound_too(
    recorder: Recorder, split: Callable[[str, str], Files]
) -> None:
    answers: dict[str, Answer | str | bytes] = {"master.m3u8": MASTER}
    answers |= split("v", "ts") | split("a", "ts")
    async with static_origin(answers) as (base, _):
        survey = await recorder.survey(f"{base}/master.m3u8")
        window = (await recorder.fetch(survey)).window
    assert window is not None
    assert len(window.segments) == 6
    assert all(segment.has_audio for segment in window.segments)
