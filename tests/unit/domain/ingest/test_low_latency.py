"""What the next reload of a low-latency playlist asks for."""

from __future__ import annotations

import pytest

from domain.ingest.low_latency import (
    BlockingReloads,
    DeliveryDirectives,
    PlaylistUpdate,
    are_all_parts,
    blocked_timing,
    has_update,
    next_update,
    skip_directive,
)
from domain.ingest.playlist import (
    ListedSegment,
    MediaPlaylist,
    PartialSegment,
    Resource,
    SegmentPart,
    ServerControl,
)

BLOCKING = ServerControl(can_block_reload=True, can_skip_until=12.0)


def playlist(*, open_parts: int = 0, **changes: object) -> MediaPlaylist:
    """Segments 7 and 8, and parts of segment 9."""
    listed = tuple(
        ListedSegment(sequence=n, resource=Resource(url=f"https://x/{n}.ts"), duration=2.0)
        for n in (7, 8)
    )
    parts = tuple(
        SegmentPart(resource=Resource(url=f"https://x/9.{n}.ts"), duration=0.5)
        for n in range(open_parts)
    )
    fields = {
        "target_duration": 2.0,
        "segments": listed,
        "media_sequence": 7,
        "server": BLOCKING,
        "part_target": 0.5,
        "partial": (PartialSegment(sequence=9, parts=parts),) if parts else (),
        **changes,
    }
    return MediaPlaylist.model_validate(fields)


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (playlist(), PlaylistUpdate(sequence=9, part=0)),
        (playlist(open_parts=3), PlaylistUpdate(sequence=9, part=3)),
        (playlist(part_target=None), PlaylistUpdate(sequence=9)),
        (playlist(ended=True), None),
        (playlist(server=ServerControl()), None),
        (playlist(media_sequence=None), None),
        (playlist(segments=()), None),
    ],
)
def test_the_next_request_waits_for_what_comes_after_the_last_part(
    listed: MediaPlaylist, expected: PlaylistUpdate | None
) -> None:
    assert next_update(listed, parts=True) == expected


def test_a_rendition_of_whole_segments_waits_for_the_next_segment() -> None:
    assert next_update(playlist(open_parts=3), parts=False) == PlaylistUpdate(sequence=9)


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        (PlaylistUpdate(sequence=8), True),
        (PlaylistUpdate(sequence=8, part=99), True),
        (PlaylistUpdate(sequence=9, part=1), True),
        (PlaylistUpdate(sequence=9, part=2), False),
        (PlaylistUpdate(sequence=9), False),
        (PlaylistUpdate(sequence=10, part=0), False),
    ],
)
def test_an_answer_has_an_update_if_it_lists_the_segment_or_enough_of_its_parts(
    update: PlaylistUpdate, expected: bool
) -> None:
    assert has_update(playlist(open_parts=2), update) is expected


@pytest.mark.parametrize(
    ("url", "directives", "expected"),
    [
        (
            "https://x/a.m3u8?token=b%2Fc&a=1",
            DeliveryDirectives(update=PlaylistUpdate(sequence=9, part=3), skip="YES"),
            "https://x/a.m3u8?token=b%2Fc&a=1&_HLS_msn=9&_HLS_part=3&_HLS_skip=YES",
        ),
        (
            "https://x/a.m3u8?_HLS_msn=1&z&_HLS_skip=v2#f",
            DeliveryDirectives(update=PlaylistUpdate(sequence=9)),
            "https://x/a.m3u8?z&_HLS_msn=9#f",
        ),
        ("https://x/a.m3u8?k=v", DeliveryDirectives(), "https://x/a.m3u8?k=v"),
    ],
)
def test_directives_follow_the_parameters_of_a_signed_url_in_order(
    url: str, directives: DeliveryDirectives, expected: str
) -> None:
    assert directives.applied_to(url) == expected


@pytest.mark.parametrize(
    ("listed", "age", "expected"),
    [
        (playlist(), 6.0, "YES"),
        (playlist(), 6.1, ""),
        (playlist(server=ServerControl(can_block_reload=True)), 0.0, ""),
        (playlist(ended=True), 0.0, ""),
        (playlist(server=ServerControl(can_skip_until=12, can_skip_date_ranges=True)), 0.0, "v2"),
    ],
)
def test_a_delta_update_is_asked_for_up_to_half_the_skip_boundary(
    listed: MediaPlaylist, age: float, expected: str
) -> None:
    assert skip_directive(listed, age=age) == expected


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        ((0.5, 0.5, 0.5, 0.5), True),
        ((0.5, 0.5, 0.5, 0.48), True),
        ((0.5, 0.5, 0.5), False),
        ((), False),
    ],
)
def test_parts_are_a_segment_only_if_they_last_as_long(
    durations: tuple[float, ...], expected: bool
) -> None:
    assert are_all_parts(durations, segment=2.0) is expected


@pytest.mark.parametrize(("target", "expected"), [(4.0, 12.0), (0.3, 2.0), (3600.0, 120.0)])
def test_a_request_is_held_for_three_target_durations_within_bounds(
    target: float, expected: float
) -> None:
    assert blocked_timing(target).total == expected


def test_a_server_that_answers_at_once_without_the_update_is_polled_after_three_times() -> None:
    server = BlockingReloads()
    for _ in range(2):
        server.empty(now=5.0, waited=0.1, target_duration=2.0)
        assert server.allowed(now=5.0)
    server.empty(now=5.0, waited=0.1, target_duration=2.0)
    assert not server.allowed(now=14.9)
    assert server.allowed(now=15.0)


def test_an_answer_without_the_update_after_a_wait_is_a_stall_of_the_stream() -> None:
    server = BlockingReloads()
    for _ in range(10):
        server.empty(now=5.0, waited=2.0, target_duration=2.0)
    assert server.allowed(now=5.0)


def test_each_further_failure_doubles_the_time_of_polling_until_a_promise_is_kept() -> None:
    server = BlockingReloads()
    server.failed(now=0.0)
    server.failed(now=10.0)
    assert not server.allowed(now=29.9)
    assert server.allowed(now=30.0)
    server.kept()
    server.failed(now=30.0)
    assert server.allowed(now=40.0)
