"""What ingest tests share: a pool for media, one video, and ingest on a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.media.hls_client import HlsClient
from infra.media.pool import MediaPool
from infra.ssrf import UrlGuard
from infra.storage.segments import LocalSegmentStore
from tests.factories.media import make_video
from tests.integration.ingest.harness import IngestHarness

VIDEO_SECONDS = 12.0


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds of picture and sound with a keyframe every second."""
    path = tmp_path_factory.mktemp("ingest") / "video.mp4"
    return make_video(path, seconds=VIDEO_SECONDS, size="160x90", keyframe_interval=1.0)


@pytest.fixture(scope="session")
def segments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Six MPEG-TS segments of one second."""
    directory = tmp_path_factory.mktemp("segments")
    options = ("-f", "hls", "-hls_time", "1", "-hls_list_size", "0")
    names = ("-hls_segment_filename", str(directory / "seg%d.ts"))
    make_video(
        directory / "list.m3u8",
        seconds=6.0,
        size="160x90",
        keyframe_interval=1.0,
        options=(*options, *names),
    )
    return {path.name: path.read_bytes() for path in sorted(directory.glob("*.ts"))}


@pytest.fixture(scope="session")
def fmp4(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """An initialization section and three fMP4 segments of one second."""
    directory = tmp_path_factory.mktemp("fmp4")
    options = ("-f", "hls", "-hls_time", "1", "-hls_list_size", "0", "-hls_segment_type", "fmp4")
    names = ("-hls_segment_filename", str(directory / "seg%d.m4s"))
    make_video(
        directory / "list.m3u8",
        seconds=3.0,
        size="160x90",
        keyframe_interval=1.0,
        options=(*options, *names),
    )
    return {path.name: path.read_bytes() for path in sorted(directory.glob("*.m*4*"))}


@pytest.fixture
async def ingest(tmp_path: Path, media_pool: MediaPool) -> AsyncIterator[IngestHarness]:
    """The ingest activities on a store of this test, allowed to reach loopback origins."""
    async with HlsClient(UrlGuard(allow_private=True)) as client:
        harness = IngestHarness(
            LocalSegmentStore(tmp_path / "segments"), tmp_path / "segments", client, media_pool
        )
        yield harness
        await harness.close()
        assert harness.scratch_files() == []
