"""Responses of one playlist, each parsed with what is known of the one before."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ingest.playlist import MasterPlaylist, MediaPlaylist
from infra.media import hls_playlist
from infra.media.hls_playlist import PlaylistParser, parse_playlist

URL = "https://cdn.example/live/720p.m3u8"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PLAIN_TAGS = {
    "gap": ["#EXT-X-GAP"],
    "discontinuity": ["#EXT-X-DISCONTINUITY"],
}
KINDS = ["", "", "", "date", "key", "map", "range", "unreadable", "parts", "mark", *PLAIN_TAGS]


@dataclass
class Block:
    """One segment of a packager that repeats key and map at the beginning of its window."""

    number: int
    tags: list[str] = field(default_factory=list)
    key: str = ""
    map: str = ""
    parts: bool = False
    ranged: bool = False
    unreadable: bool = False

    def text(self, *, with_parts: bool) -> str:
        lines = list(self.tags)
        if self.parts and with_parts:
            lines += [f'#EXT-X-PART:DURATION=1,URI="{self.number}.{n}.m4s"' for n in range(2)]
        if self.ranged:
            lines.append("#EXT-X-BYTERANGE:100" + (f"@{100 * self.number}"))
        lines.append("#EXTINF:x," if self.unreadable else "#EXTINF:2,")
        lines.append("all.m4s" if self.ranged else f"{self.number}.m4s?t={{$token}}")
        return "\n".join(lines) + "\n"


def head(first: int) -> str:
    return (
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=12\n"
        f'#EXT-X-DEFINE:NAME="token",VALUE="a"\n#EXT-X-MEDIA-SEQUENCE:{first}\n'
    )


def date_tag(number: int) -> str:
    return f"#EXT-X-PROGRAM-DATE-TIME:{(NOON + timedelta(seconds=2 * number)).isoformat()}"


@st.composite
def streams(draw: st.DrawFn) -> list[Block]:
    blocks: list[Block] = []
    key = initialization = ""
    dates = draw(st.booleans())
    for number in range(draw(st.integers(2, 24))):
        kind = draw(st.sampled_from(KINDS))
        block = Block(
            number,
            ranged=kind == "range",
            unreadable=kind == "unreadable",
            parts=kind == "parts",
        )
        if dates or kind == "date":
            block.tags.append(date_tag(number))
        if kind == "key":
            used = f'METHOD=AES-128,URI="k{number}"' if draw(st.booleans()) else "METHOD=NONE"
            key = f"#EXT-X-KEY:{used}"
            # The map is repeated after it: before a key and after it, it means different things.
            block.tags += [key, initialization] if initialization else [key]
        if kind == "mark":
            date = NOON.isoformat()
            block.tags.append(f'#EXT-X-DATERANGE:ID="{number}",START-DATE="{date}"')
        if kind == "map":
            initialization = f'#EXT-X-MAP:URI="init{number}.mp4"'
            block.tags.append(initialization)
        block.tags += PLAIN_TAGS.get(kind, [])
        block.key, block.map = key, initialization
        blocks.append(block)
    return blocks


def response(blocks: list[Block], *, skipped: int = 0) -> str:
    """A full response, or one whose first segments are skipped with all their tags."""
    first = blocks[0]
    tags = [each for each in (first.key, first.map) if each and each not in first.tags]
    if skipped:
        tags = [f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"]
        tags += [tag for each in blocks[:skipped] for tag in each.tags if "DATERANGE" in tag]
    body = [each.text(with_parts=each in blocks[-3:]) for each in blocks[skipped:]]
    return "".join([head(first.number), *(f"{tag}\n" for tag in tags), *body])


def parse(text: str, since: int | None = None) -> MediaPlaylist:
    parsed = parse_playlist(text, url=URL, since=since)
    assert isinstance(parsed, MediaPlaylist)
    return parsed


def counted(playlist: MasterPlaylist | MediaPlaylist) -> MasterPlaylist | MediaPlaylist:
    """The playlist without the count of bad lines, which counts each line once."""
    return playlist.model_copy(update={"dropped": {}})


@given(blocks=streams(), window=st.integers(1, 24), steps=st.lists(st.integers(0, 4), max_size=12))
def test_a_response_parsed_after_others_is_what_it_is_alone(
    blocks: list[Block], window: int, steps: list[int]
) -> None:
    parser = PlaylistParser()
    reached = 1
    for step in steps:
        reached = min(reached + step, len(blocks))
        text = response(blocks[max(0, reached - window) : reached])
        since = reached - 3 if step % 2 else None
        found = parser.parse(text, url=f"{URL}?_HLS_msn={reached}", since=since)
        assert counted(found) == counted(parse(text, since))


@given(blocks=streams(), window=st.integers(2, 24), steps=st.lists(st.integers(0, 3), max_size=8))
def test_a_delta_update_gives_what_the_full_playlist_would(
    blocks: list[Block], window: int, steps: list[int]
) -> None:
    parser = PlaylistParser()
    reached = 1
    parser.parse(response(blocks[:1]), url=URL)
    for step in steps:
        before, reached = reached, min(reached + step, len(blocks))
        listed = blocks[max(0, reached - window) : reached]
        known = before - listed[0].number
        skipped = min(max(known, 0), max(len(listed) - 3, 0))
        found = parser.parse(response(listed, skipped=skipped), url=URL)
        whole = parse(response(listed))
        assert isinstance(found, MediaPlaylist)
        assert found.unknown_skipped == 0
        assert [each.id for each in found.date_ranges] == [each.id for each in whole.date_ranges]
        if before < listed[0].number or any(each.program_date_time for each in whole.segments[:1]):
            assert found.segments == whole.segments
        assert [each.resource for each in found.segments] == [
            each.resource for each in whole.segments
        ]
        assert [each.key for each in found.segments] == [each.key for each in whole.segments]
        assert [each.initialization for each in found.segments] == [
            each.initialization for each in whole.segments
        ]


def test_a_delta_update_that_skips_what_was_never_listed_says_so() -> None:
    parser = PlaylistParser()
    parser.parse(f"{head(3)}#EXTINF:2,\n3.ts\n", url=URL)
    found = parser.parse(f"{head(7)}#EXT-X-SKIP:SKIPPED-SEGMENTS=2\n#EXTINF:2,\n9.ts\n", url=URL)
    assert isinstance(found, MediaPlaylist)
    assert found.unknown_skipped == 2
    assert [each.sequence for each in found.segments] == [9]


def test_date_ranges_that_a_delta_update_skips_stay_unless_removed() -> None:
    def mark(name: str, second: int = 0) -> str:
        date = (NOON + timedelta(seconds=second)).isoformat()
        return f'#EXT-X-DATERANGE:ID="{name}",START-DATE="{date}"\n'

    parser = PlaylistParser()
    entries = [f"#EXTINF:2,\n{n}.ts\n" for n in range(4)]
    parser.parse(head(0) + mark("a") + mark("b") + mark("c") + "".join(entries[:3]), url=URL)
    skip = '#EXT-X-SKIP:SKIPPED-SEGMENTS=2,RECENTLY-REMOVED-DATERANGES="a\tz"\n'
    text = head(0) + skip + mark("c", second=5) + entries[2] + mark("d") + entries[3]
    found = parser.parse(text, url=URL)
    assert isinstance(found, MediaPlaylist)
    assert [(each.id, each.sequence) for each in found.date_ranges] == [
        ("b", 0),
        ("c", 0),
        ("d", 3),
    ]
    assert found.date_ranges[1].start == NOON + timedelta(seconds=5)


def test_a_long_window_is_read_line_by_line_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    reader = hls_playlist._Reader
    original = reader.read

    def counting(self: hls_playlist._Reader, line: str) -> None:
        read.append(line)
        original(self, line)

    monkeypatch.setattr(reader, "read", counting)
    blocks = [Block(n, [date_tag(n)]) for n in range(2000)]
    parser = PlaylistParser()
    parser.parse(response(blocks[:1990]), url=URL)
    for reached in range(1991, 2000):
        read.clear()
        found = parser.parse(response(blocks[reached - 1990 : reached]), url=URL, since=reached - 5)
        assert isinstance(found, MediaPlaylist)
        assert [each.sequence for each in found.segments] == list(range(reached - 5, reached))
        assert len(read) < 20


def test_a_later_target_duration_applies_to_the_segments_before_it_too() -> None:
    parser = PlaylistParser()
    text = head(0) + "".join(Block(n, unreadable=True).text(with_parts=False) for n in range(3))
    parser.parse(text, url=URL)
    found = parser.parse(f"{text}#EXT-X-TARGETDURATION:5\n", url=URL)
    assert isinstance(found, MediaPlaylist)
    assert [each.duration for each in found.segments] == [5.0, 5.0, 5.0]
