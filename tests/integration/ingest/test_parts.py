"""Parts of one segment, collected from a real server."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from activities.ingest.parts import PartCollector
from domain.ingest.messages import IngestLimits
from domain.ingest.playlist import (
    ByteRange,
    ListedSegment,
    PartialSegment,
    Resource,
    SegmentPart,
)
from infra.media.hls_client import HlsClient
from infra.ssrf import UrlGuard
from infra.storage.segments import LocalSegmentStore
from tests.integration.ingest.harness import static_origin

FILES: dict[str, str | bytes] = {"a": b"one ", "b": b"two ", "c": b"three", "all": b"one two three"}


class Scene:
    """A collector of segment 7, and the server that it reads from."""

    def __init__(self, collector: PartCollector, base: str, hits: Counter[str]) -> None:
        self.collector = collector
        self.base = base
        self.hits = hits

    def resource(self, name: str) -> Resource:
        return Resource(url=f"{self.base}/{name}")

    def parts(self, *names: str, gaps: str = "") -> PartialSegment:
        return PartialSegment(
            sequence=7,
            parts=tuple(
                SegmentPart(resource=self.resource(each), duration=0.5, gap=each in gaps)
                for each in names
            ),
        )

    def listed(self, duration: float = 1.5) -> ListedSegment:
        return ListedSegment(sequence=7, resource=self.resource("all"), duration=duration)


@asynccontextmanager
async def collecting(tmp_path: Path) -> AsyncIterator[Scene]:
    store = LocalSegmentStore(tmp_path / "store")
    async with (
        static_origin(FILES) as (base, hits),
        HlsClient(UrlGuard(allow_private=True)) as client,
    ):
        collector = PartCollector(
            client.session("one"),
            store,
            sequence=7,
            limits=IngestLimits(),
            target_duration=2.0,
            hints=True,
        )
        yield Scene(collector, base, hits)
        await collector.close()
        assert list((tmp_path / "store" / ".scratch").glob("*")) == []


async def test_a_hinted_part_is_read_once_and_the_parts_follow_the_prefix(tmp_path: Path) -> None:
    file = tmp_path / "segment"
    async with collecting(tmp_path) as scene:
        scene.collector.update(scene.parts("a"), hint=scene.resource("b"))
        scene.collector.update(scene.parts("a", "b"), hint=scene.resource("c"))
        scene.collector.finish(scene.listed(), scene.parts("a", "b", "c"))
        assert await scene.collector.write(file, prefix=b"init ") == len(b"init one two three")
        assert file.read_bytes() == b"init one two three"
        assert await scene.collector.write(file, prefix=b"") is None
    assert dict(scene.hits) == {"a": 1, "b": 1, "c": 1}


async def test_a_hint_that_is_not_listed_is_no_part_of_the_segment(tmp_path: Path) -> None:
    file = tmp_path / "segment"
    async with collecting(tmp_path) as scene:
        scene.collector.update(scene.parts("a"), hint=scene.resource("c"))
        scene.collector.finish(scene.listed(1.0), scene.parts("a", "b"))
        await scene.collector.write(file, prefix=b"")
        assert file.read_bytes() == b"one two "


async def test_a_part_whose_hint_failed_is_requested_when_it_is_listed(tmp_path: Path) -> None:
    async with collecting(tmp_path) as scene:
        scene.collector.update(scene.parts("a"), hint=scene.resource("late"))
        await scene.collector.settled()
        scene.collector.update(scene.parts("a", "late"), hint=scene.resource("b"))
        await scene.collector.settled()
        assert scene.collector.hint_failed
    assert dict(scene.hits) == {"a": 1, "late": 2}


async def test_byte_ranges_of_one_file_are_parts(tmp_path: Path) -> None:
    file = tmp_path / "segment"
    async with collecting(tmp_path) as scene:
        ranges = [ByteRange(offset=0, length=8), ByteRange(offset=8, length=5)]
        parts = tuple(
            SegmentPart(
                resource=Resource(url=scene.resource("all").url, byte_range=each), duration=0.75
            )
            for each in ranges
        )
        scene.collector.finish(scene.listed(), PartialSegment(sequence=7, parts=parts))
        await scene.collector.write(file, prefix=b"")
        assert file.read_bytes() == b"one two three"


async def test_parts_that_are_not_the_whole_segment_are_not_used(tmp_path: Path) -> None:
    file = tmp_path / "segment"
    for parts in (("b", "c"), ("a", "b", "missing")):
        async with collecting(tmp_path) as scene:
            scene.collector.finish(scene.listed(), scene.parts(*parts))
            assert await scene.collector.write(file, prefix=b"") is None
    async with collecting(tmp_path) as scene:
        scene.collector.finish(scene.listed(), scene.parts("a", "b", "c", gaps="c"))
        assert await scene.collector.write(file, prefix=b"") is None
        scene.collector.finish(scene.listed(), None)
        assert await scene.collector.write(file, prefix=b"") is None
