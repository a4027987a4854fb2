"""Beams: what 100ms says of a stream, where it can be watched, and what is left of it."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import m3u8
import pytest

from demo.errors import UnusableInputError
from demo.hms import Beam, Simulator, SimulatorOptions, Webhook
from demo.origin import Faults
from tests.fakes.webhook_receiver import Receiver, hms_receiver

PACE = 40.0
STARTED, STOPPED = "hls.started.success", "hls.stopped.success"
FAILED, RECORDED = "hls.failure", "hls.recording.success"


@dataclass
class World:
    """The simulator, whoever receives its events, and a client."""

    simulator: Simulator
    endpoint: Receiver
    http: httpx.AsyncClient

    async def playlist(self, url: str) -> m3u8.M3U8:
        response = (await self.http.get(url)).raise_for_status()
        return m3u8.loads(response.text, uri=url)

    async def media(self, url: str) -> m3u8.M3U8:
        """Read the media playlist of the best quality."""
        return await self.playlist((await self.playlist(url)).playlists[0].absolute_uri)


@asynccontextmanager
async def world(**options: object) -> AsyncIterator[World]:
    async with hms_receiver() as endpoint:
        settings = SimulatorOptions.model_validate(
            {"webhook": Webhook(url=endpoint.url), "pace": PACE, **options}
        )
        async with Simulator(settings) as simulator, httpx.AsyncClient() as http:
            yield World(simulator, endpoint, http)


async def played(simulator: Simulator, file: Path, faults: Faults | None = None) -> Beam:
    """Stream a file to its end and stop."""
    beam = await simulator.room().open().start_beam(file, faults=faults)
    await beam.finished()
    await beam.stop()
    await simulator.sender.settled()
    return beam


async def test_a_match_is_told_from_the_opening_to_the_close(video: Path) -> None:
    async with world() as w:
        session = w.simulator.room().open()
        session.join()
        beam = await session.start_beam(video)
        await beam.finished()
        await beam.stop()
        await w.simulator.publish_recording(beam)
        session.end()
        await w.simulator.sender.settled()
        assert w.endpoint.types == [
            *("session.open.success", "peer.join.success", "beam.started.success", STARTED),
            *(STOPPED, "beam.stopped.success", RECORDED),
            *("room.end.success", "peer.leave.success", "session.close.success"),
        ]


async def test_the_start_says_all_that_100ms_says(video: Path) -> None:
    async with world() as w:
        beam = await played(w.simulator, video)
        said = w.endpoint.data(STARTED)
        assert said.keys() >= {
            *("beam_id", "job_id", "room_id", "peer_id", "session_id", "template_id"),
            *("recording_single_file_per_layer_enabled", "recording_vod_playlist_enabled"),
            *("meeting_url", "metadata_id", "metadata_timestamp", "start_delay", "state_name"),
            *("state_timestamp", "max_width", "max_height", "url", "started_at"),
            "session_started_at",
        }
        assert (said["beam_id"], said["url"]) == (beam.id, beam.url)


async def test_the_stop_says_how_long_and_why_but_not_where(video: Path) -> None:
    async with world() as w:
        await played(w.simulator, video)
        said = w.endpoint.data(STOPPED)
        assert said["reason"] == "client request"
        assert said.keys() >= {"duration", "started_at", "stopped_at", "live_transcription_enabled"}
        assert said.keys().isdisjoint({"url", "start_delay"})


async def test_the_stream_can_be_watched_once_its_start_is_told(video: Path) -> None:
    async with world() as w:
        beam = await w.simulator.room().open().start_beam(video)
        assert (await w.media(beam.url)).segments
        parts = urlsplit(beam.url).path.split("/")
        assert parts[1:4] == ["beam", w.simulator.options.account_id, beam.room_id]
        assert (len(parts[4]), len(parts[5]), parts[6]) == (8, 13, "master.m3u8")


async def test_the_rooms_address_leads_to_the_newest_session(video: Path) -> None:
    async with world() as w:
        room = w.simulator.room()
        url = w.simulator.room_url(room)
        assert (await w.http.get(url)).status_code == 404
        for _ in range(2):
            beam = await room.open().start_beam(video)
            await beam.finished()
            await beam.stop()
            master = await w.playlist(url)
            session = urlsplit(beam.url).path.removeprefix("/beam").rsplit("/", 1)[0]
            assert session in urljoin(url, master.playlists[0].uri)
            assert (await w.media(url)).segments
        first, second = w.simulator.beams
        assert first.url != second.url
        assert (await w.media(first.url)).is_endlist


async def test_a_beam_that_is_stopped_early_ends_its_playlist(video: Path) -> None:
    async with world(pace=1.0) as w:
        beam = await w.simulator.room().open().start_beam(video)
        await beam.stop("last peer left")
        await w.simulator.sender.settled()
        assert w.endpoint.data(STOPPED)["reason"] == "last peer left"
        playlist = await w.media(beam.url)
        assert playlist.is_endlist
        assert len(playlist.segments) < 6


async def test_a_failure_is_told_with_its_type_and_then_the_stop(video: Path) -> None:
    async with world() as w:
        beam = await w.simulator.room().open().start_beam(video)
        await beam.fail("UPLOAD_ERROR")
        await w.simulator.sender.settled()
        said = w.endpoint.data(FAILED)
        assert said["error_type"] == "UPLOAD_ERROR"
        assert said.keys().isdisjoint({"url", "started_at", "stopped_at", "reason"})
        assert w.endpoint.types[-2:] == [FAILED, STOPPED]
        assert w.endpoint.data(STOPPED)["reason"] == "failure: UPLOAD_ERROR"


async def test_a_beam_can_fail_without_ever_having_started() -> None:
    async with world() as w:
        await w.simulator.room().open().fail_beam()
        await w.simulator.sender.settled()
        assert w.endpoint.types == ["session.open.success", FAILED]
        assert w.endpoint.data(FAILED)["error_type"] == "BEAM_STOPPED"


async def test_the_recording_holds_the_whole_stream_and_what_was_lost_live(video: Path) -> None:
    async with world() as w:
        beam = await played(w.simulator, video, Faults(missing=(2,), gaps=(4,)))
        await w.simulator.publish_recording(beam)
        await w.simulator.sender.settled()
        said = w.endpoint.data(RECORDED)
        recording = await w.media(said["hls_vod_recording_presigned_url"])
        assert recording.playlist_type == "vod"
        assert recording.is_endlist
        assert [round(s.duration) for s in recording.segments] == [2] * 6
        for segment in recording.segments:
            assert (await w.http.get(segment.absolute_uri)).raise_for_status().content
        assert said["hls_vod_recording_path"].startswith("s3://")
        assert said["hls_vod_recording_size"] > 0


async def test_the_recording_can_be_an_archive(video: Path) -> None:
    async with world(recording_form="zip") as w:
        beam = await played(w.simulator, video)
        url = await w.simulator.publish_recording(beam)
        content = (await w.http.get(url)).raise_for_status().content
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
        assert names[0] == "master.m3u8"
        assert sum(name.endswith(".ts") for name in names) == 6


@pytest.mark.parametrize("query", ["", "?X-Amz-Expires=1&X-Amz-Signature=00"])
async def test_a_recording_opens_to_its_presigned_address_only(video: Path, query: str) -> None:
    async with world() as w:
        url = await w.simulator.publish_recording(await played(w.simulator, video))
        assert (await w.http.get(url.partition("?")[0] + query)).status_code == 403


async def test_a_presigned_address_expires(video: Path) -> None:
    async with world(recording_lifetime=-1.0) as w:
        url = await w.simulator.publish_recording(await played(w.simulator, video))
        assert (await w.http.get(url)).status_code == 403


async def test_timed_metadata_can_be_sent_while_the_stream_is_live(video: Path) -> None:
    async with world(pace=1.0) as w:
        beam = await w.simulator.room().open().start_beam(video)
        beam.mark('{"type": "goal"}')
        segments = (await w.media(beam.url)).segments
        (daterange,) = [each for segment in segments for each in segment.dateranges]
        encoded = dict(daterange.x_client_attrs)["x_100mslive_payload"]
        envelope = json.loads(base64.b64decode(encoded.strip('"')))
        assert envelope["payload"] == '{"type": "goal"}'


async def test_what_cannot_be_played_was_never_a_beam(tmp_path: Path) -> None:
    async with world() as w:
        with pytest.raises(UnusableInputError):
            await w.simulator.room().open().start_beam(tmp_path / "missing.mp4")
        assert w.simulator.beams == []
