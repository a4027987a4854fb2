"""Live playlists as they are found in the wild: followed to their end, each segment once."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from starlette.requests import Request
from starlette.responses import Response
from structlog.testing import capture_logs
from temporalio.testing import ActivityEnvironment

from domain.ingest.messages import IngestCursor
from domain.media.segments import GapReason
from domain.streams.status import EndReason
from infra.storage.segments import LocalSegmentStore
from tests.integration.ingest.harness import (
    IMPATIENT,
    Answer,
    IngestHarness,
    PartsOrigin,
    static_origin,
)

pytestmark = pytest.mark.timeout(60)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PATIENT = IMPATIENT.model_copy(update={"stall_notice": 10.0, "stall_timeout": 15.0})
END = "#EXT-X-ENDLIST\n"


Answers = dict[str, Answer | str | bytes]


def entry(name: object, at: float | None = None) -> str:
    """A segment of one second; `at` is its date, in seconds after noon."""
    date = (NOON + timedelta(seconds=at)).isoformat() if at is not None else None
    tag = f"#EXT-X-PROGRAM-DATE-TIME:{date}\n" if date else ""
    return f"{tag}#EXTINF:1.0,\nseg{name}.ts\n"


def listing(first: int | None, *entries: str, tags: str = "") -> str:
    number = "" if first is None else f"#EXT-X-MEDIA-SEQUENCE:{first}\n"
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n{number}{tags}{''.join(entries)}"


def script(readings: Sequence[str], *, times: int = 2) -> Answer:
    """Answer each reading so many times, and the last one for ever."""
    asked = count()

    def answer(_: Request) -> Response:
        return Response(readings[min(next(asked) // times, len(readings) - 1)])

    return answer


def named(segments: dict[str, bytes], names: Sequence[object]) -> Answers:
    """The generated segments under other names, again and again."""
    media = list(segments.values())
    return {f"seg{name}.ts": media[n % len(media)] for n, name in enumerate(names)}


async def test_dates_that_step_back_in_an_event_list_take_nothing_twice(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    entries = [entry(n, n - 5 * (n > 3)) for n in range(6)]
    event = "#EXT-X-PLAYLIST-TYPE:EVENT\n"
    readings = [listing(0, *entries[:n], tags=event) for n in range(3, 7)]
    answers: Answers = {**segments, "live.m3u8": script([*readings, readings[-1] + END], times=3)}
    async with static_origin(answers) as (base, hits):
        story = await ingest.follow(f"{base}/live.m3u8", PATIENT)
    assert story.sequences == list(range(6))
    assert story.reason is EndReason.PLAYLIST_ENDED
    assert {hits[name] for name in segments} == {1}


async def test_a_clock_that_is_corrected_takes_nothing_twice(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    readings = [
        listing(n, *(entry(each, each + (3 if n > 1 else 0)) for each in range(n, n + 3)))
        for n in range(4)
    ]
    answers: Answers = {**segments, "live.m3u8": script([*readings, readings[-1] + END])}
    async with static_origin(answers) as (base, hits):
        story = await ingest.follow(f"{base}/live.m3u8", PATIENT)
    assert story.sequences == list(range(6))
    assert {hits[name] for name in segments} == {1}


@pytest.mark.parametrize("number", [10**6, 1_700_000_000, 2**63 + 7, 2**64 + 7])
async def test_a_leap_of_numbers_is_no_gap_and_costs_no_time(
    ingest: IngestHarness, segments: dict[str, bytes], number: int
) -> None:
    readings = [
        listing(0, entry(0), entry(1), entry(2)),
        listing(number, entry(3), entry(4)),
        listing(number + 1, entry(4), entry(5)) + END,
    ]
    answers: Answers = {**segments, "live.m3u8": script(readings)}
    async with static_origin(answers) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", PATIENT)
    after = number % 2**53
    assert story.sequences == [0, 1, 2, after, after + 1, after + 2]
    assert story.gaps == []
    assert story.results[-1].cursor.position == pytest.approx(6.0, abs=0.2)
    story.assert_timeline_whole()


async def test_segments_lost_behind_large_numbers_are_a_gap_that_can_be_stored(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    begin = 2**64 + 3
    readings = [
        listing(begin, entry(0), entry(1)),
        listing(begin + 1, entry(1), entry("lost"), entry(3)) + END,
    ]
    answers: Answers = {**segments, "live.m3u8": script(readings)}
    async with static_origin(answers) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", PATIENT)
    assert story.sequences == [3, 4, 6]
    assert [(gap.first_sequence, gap.last_sequence) for gap in story.gaps] == [(5, 5)]


async def test_numbers_that_begin_again_without_dates_are_a_live_stream(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    names = [*range(123, 126), *(f"-new{n}" for n in range(6))]
    readings = [
        listing(123, entry(123), entry(124), entry(125)),
        listing(0, entry("-new0")),
        listing(0, entry("-new0"), entry("-new1")),
        listing(0, entry("-new0"), entry("-new1"), entry("-new2")),
        listing(1, entry("-new1"), entry("-new2"), entry("-new3")) + END,
    ]
    answers: Answers = {**named(segments, names), "live.m3u8": script(readings, times=3)}
    async with static_origin(answers) as (base, hits):
        story = await ingest.follow(f"{base}/live.m3u8", PATIENT)
    assert story.reason is EndReason.PLAYLIST_ENDED
    assert story.sequences == [123, 124, 125, 0, 1, 2, 3]
    assert len({segment.key for segment in story.segments}) == 7
    assert all(hits[f"seg{name}.ts"] <= 1 for name in names)
    story.assert_timeline_whole()


async def test_a_list_without_numbers_that_slides_is_followed_by_its_uris(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    readings = [
        listing(None, *(entry(each) for each in range(n, n + 3)), tags="#EXT-X-MEDIA-SEQUENCE:\n")
        for n in range(4)
    ]
    answers: Answers = {**segments, "live.m3u8": script([*readings, readings[-1] + END])}
    async with static_origin(answers) as (base, hits):
        with capture_logs() as logs:
            story = await ingest.follow(f"{base}/live.m3u8", PATIENT)
    dropped = [each["counts"] for each in logs if each["event"] == "playlist_lines_dropped"]
    assert dropped == [{"EXT-X-MEDIA-SEQUENCE": 1}]
    assert story.sequences == list(range(6))
    assert {hits[name] for name in segments} == {1}


async def test_variables_are_imported_from_the_master_even_by_another_worker(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    master = (
        '#EXTM3U\n#EXT-X-DEFINE:NAME="base",VALUE="a"\n'
        "#EXT-X-STREAM-INF:BANDWIDTH=1\n{$base}/live.m3u8?part=seg\n"
    )
    define = '#EXT-X-DEFINE:IMPORT="base"\n#EXT-X-DEFINE:QUERYPARAM="part"\n'
    readings = [
        listing(
            0, *(f"#EXTINF:1,\n../{{$base}}/{{$part}}{n}.ts\n" for n in range(each)), tags=define
        )
        for each in (3, 6)
    ]
    answers: Answers = {f"a/{k}": v for k, v in segments.items()}
    answers |= {"master.m3u8": master, "a/live.m3u8": script([readings[0], readings[1] + END])}
    async with static_origin(answers) as (base, _):
        request = ingest.request(f"{base}/master.m3u8", PATIENT)
        first = await ingest.window(request)
        request = request.model_copy(update={"cursor": first.cursor})
        second = await ingest.window(request, worker=ingest.worker())
    taken = [s.media_sequence for r in (first, second) if r.window for s in r.window.segments]
    assert taken == list(range(6))


def marker(number: int, payload: str) -> str:
    encoded = base64.b64encode(payload.encode()).decode()
    date = (NOON + timedelta(seconds=number / 1000)).isoformat()
    return f'#EXT-X-DATERANGE:ID="m{number}",START-DATE="{date}",X-100MSLIVE-PAYLOAD="{encoded}"\n'


async def test_parts_are_named_with_variables_too(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    define = '#EXT-X-DEFINE:NAME="part",VALUE="seg"\n'
    playlist = listing(0, *(f"#EXTINF:1,\n{name}\n" for name in segments), tags=define) + END
    origin = PartsOrigin(
        {**segments, "live.m3u8": playlist},
        "live.m3u8",
        written=lambda name: name.replace("seg", "{$part}"),
    )
    async with static_origin(origin.answers) as (base, hits):
        story = await ingest.follow(f"{base}/live.m3u8", PATIENT)
    assert story.sequences == list(range(6))
    assert hits["seg5.1.ts"] == 1
    assert hits["seg5.ts"] == 0


async def test_metadata_that_cannot_be_encoded_or_is_too_much_costs_itself(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    bad = [r'{"payload":"\ud800"}', r'{"payload":"a\u0000b"}', '{"payload":' + "9" * 5000 + "}"]
    good = json.dumps({"payload": "goal"})
    tags = "".join(marker(n, good) for n in range(3000))
    tags += "".join(marker(3000 + n, payload) for n, payload in enumerate(bad))
    reading = listing(0, *(entry(n, n) for n in range(6)), tags=tags) + END
    async with static_origin({**segments, "live.m3u8": reading}) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", PATIENT)
    assert story.sequences == list(range(6))
    windows = [result.window for result in story.results if result.window]
    assert all(len(result.model_dump_json()) < 200_000 for result in story.results)
    assert sum(window.dropped_metadata for window in windows) > 1000
    found = {each.id: each for each in story.metadata}
    assert len(found) == len(story.metadata)
    assert found["m3000"].payload == "\ufffd"
    assert found["m3001"].payload == "ab"
    assert found["m3002"].problem


async def test_thousands_of_tiny_segments_become_windows_of_bounded_size(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    entries = [
        f"{'#EXT-X-GAP' if n % 2 else ''}\n#EXTINF:0.001,\n{'' if n % 2 else 'http://[x/'}{n}.ts\n"
        for n in range(1000)
    ]
    async with static_origin({"live.m3u8": listing(0, *entries) + END}) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", PATIENT)
    assert sum(gap.segments for gap in story.gaps) == 1000
    assert all(len(r.window.gaps) <= 64 for r in story.results if r.window)
    assert story.reason is EndReason.NO_MEDIA


def away(cursor: IngestCursor, seconds: float) -> IngestCursor:
    """The cursor as it is found after an outage of ours of so many seconds."""
    past = datetime.now(UTC) - timedelta(seconds=seconds)
    return cursor.model_copy(
        update={"last_segment_at": past, "started_at": past, "looked_at": past, "idle": 0.5}
    )


async def test_after_an_outage_of_ours_the_playlist_is_read_and_the_rest_is_a_gap(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    live = [listing(0, entry(0), entry(1), entry(2)), listing(40, entry(3), entry(4), entry(5))]
    state = {"reading": live[0]}
    answers: Answers = {**segments, "live.m3u8": lambda _: Response(state["reading"])}
    async with static_origin(answers) as (base, _):
        request = ingest.request(f"{base}/live.m3u8", IMPATIENT)
        first = await ingest.window(request)
        state["reading"] = live[1]
        request = request.model_copy(update={"cursor": away(first.cursor, 50)})
        second = await ingest.window(request, worker=ingest.worker())
    assert second.end is None
    assert second.window is not None
    (gap,) = second.window.gaps
    assert (gap.first_sequence, gap.last_sequence, gap.reason) == (3, 39, GapReason.ROLLED_OFF)


async def test_a_stream_that_restarted_in_an_outage_of_ours_has_a_gap_as_long(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    later = [entry(n, 50 + n) for n in (3, 4, 5)]
    state = {"reading": listing(100, *(entry(n, n) for n in range(3)))}
    answers: Answers = {**segments, "live.m3u8": lambda _: Response(state["reading"])}
    async with static_origin(answers) as (base, _):
        request = ingest.request(f"{base}/live.m3u8", IMPATIENT)
        first = await ingest.window(request)
        state["reading"] = listing(7, *later)
        request = request.model_copy(update={"cursor": away(first.cursor, 60)})
        second = await ingest.window(request, worker=ingest.worker())
    assert second.end is None
    assert second.window is not None
    assert [gap.duration for gap in second.window.gaps] == [pytest.approx(50, abs=0.1)]


async def test_a_stream_that_was_gone_after_an_outage_of_ours_is_waited_for_and_has_a_gap(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    state = {"reading": Response(listing(0, entry(0), entry(1), entry(2)))}
    answers: Answers = {**segments, "live.m3u8": lambda _: state["reading"]}
    async with static_origin(answers) as (base, hits):
        request = ingest.request(f"{base}/live.m3u8", IMPATIENT)
        first = await ingest.window(request)
        state["reading"] = Response(status_code=404)
        asked = hits["live.m3u8"]
        limits = IMPATIENT.model_copy(update={"stall_notice": 30.0})
        request = ingest.request(f"{base}/live.m3u8", limits).model_copy(
            update={"cursor": away(first.cursor, 4000)}
        )
        second = await ingest.window(request, worker=ingest.worker())
        assert hits["live.m3u8"] - asked > 2
    assert second.end is not None
    assert second.end.reason is EndReason.STALLED
    assert second.window is not None
    (gap,) = second.window.gaps
    assert gap.duration == pytest.approx(4000, abs=10)


async def test_silence_counts_over_the_hands_that_a_stream_goes_through(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    limits = IMPATIENT.model_copy(update={"stall_notice": 0.5, "stall_timeout": 2.5})
    reading = listing(0, *(entry(n) for n in range(3)))
    async with static_origin({**segments, "live.m3u8": reading}) as (base, _):
        request = ingest.request(f"{base}/live.m3u8", limits)
        results = [await ingest.window(request)]
        while results[-1].end is None:
            request = request.model_copy(update={"cursor": results[-1].cursor})
            results.append(await ingest.window(request, worker=ingest.worker()))
    assert results[-1].end.reason is EndReason.STALLED
    assert len(results) > 3


async def test_a_fault_that_repeats_ends_the_stream_without_its_text(
    ingest: IngestHarness,
    segments: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(*_: object) -> None:
        message = "an internal detail"
        raise ValueError(message)

    monkeypatch.setattr(LocalSegmentStore, "adopt", broken)
    reading = listing(0, entry(0), entry(1))
    async with static_origin({**segments, "live.m3u8": reading}) as (base, _):
        request = ingest.request(f"{base}/live.m3u8", PATIENT)
        with pytest.raises(ValueError, match="detail"):
            await ingest.window(request)
        later = ActivityEnvironment()
        later.info = dataclasses.replace(later.default_info(), attempt=5)
        result = await ingest.window(request, environment=later)
    assert result.end is not None
    assert result.end.reason is EndReason.INTERNAL
    assert "detail" not in result.end.message
