"""Timelines read back: by OpenTimelineIO, as XML by Apple's rules, and as CSV."""

from __future__ import annotations

import csv
import io
from fractions import Fraction
from itertools import pairwise
from uuid import UUID
from xml.etree import ElementTree as ET

import opentimelineio as otio
import pytest

from domain.highlights.chapters import ChapterMoment, chapters_of
from infra.timeline_file import FrameRate, TimelineFile, TimelineFormat, TimelineLayout

STREAM = "0c7f3f0e-8c55-4f0e-9a55-2b7f6d2f1a11"
HIGHLIGHT = UUID("2d6c7f0a-3d0e-5a77-9b0f-0e6d5c4b3a21")
UNICODE = 'Tor! 🏆 決勝 – O\'Neill "הגביע" <b>'
NTSC = FrameRate.NTSC


def moment(start: float, end: float, title: str, *, score: float = 0.8) -> ChapterMoment:
    return ChapterMoment(
        highlight_id=HIGHLIGHT, title=title, start=start, end=end, score=score, tags=("goal", "var")
    )


def timeline(
    *moments: ChapterMoment, end: float = 7200.0, layout: TimelineLayout = TimelineLayout.STREAM
) -> TimelineFile:
    return TimelineFile(
        name="Pokal – 決勝",
        reel=STREAM,
        media="match 1.mp4",
        end=end,
        chapters=chapters_of(moments, end=end),
        layout=layout,
    )


MATCH = (moment(60.0, 70.0, UNICODE), moment(3600.0, 3612.5, "Save"))


@pytest.mark.parametrize("rate", FrameRate)
def test_an_otio_file_holds_gaps_and_clips_at_the_exact_rate(rate: FrameRate) -> None:
    text = timeline(*MATCH).text(TimelineFormat.OTIO, rate)
    read = otio.adapters.read_from_string(text, "otio_json")
    assert read.name == "Pokal – 決勝"
    (track,) = read.tracks
    gap, first, other, second = track
    assert [type(each).__name__ for each in track] == ["Gap", "Clip", "Gap", "Clip"]
    assert first.name == UNICODE
    assert first.media_reference.target_url == "match 1.mp4"
    assert first.metadata["tldrtv"]["highlight_id"] == str(HIGHLIGHT)
    assert {each.duration().rate for each in track} == {float(rate.exact)}
    for clip, at in ((first, 60.0), (second, 3600.0)):
        placed = clip.range_in_parent().start_time
        assert placed.value == clip.source_range.start_time.value == round(at * rate.exact)
    assert gap.duration().to_seconds() == pytest.approx(60.0, abs=0.02)
    assert other.duration().to_seconds() == pytest.approx(3530.0, abs=0.03)


def test_a_drop_frame_edl_keeps_pace_with_the_clock() -> None:
    text = timeline(*MATCH).text(TimelineFormat.EDL, NTSC)
    title, mode, _, first, name, *_ = text.splitlines()
    assert (title, mode) == ("TITLE: Pokal – 決勝", "FCM: DROP FRAME")
    assert first.split()[1] == "0C7F3F0E"
    assert first.split()[4:] == ["00:00:59;28", "00:01:10;00"] * 2
    assert name == f"* FROM CLIP NAME:  {UNICODE}"
    assert "01:00:00;00 01:00:12;15 01:00:00;00 01:00:12;15" in text


@pytest.mark.parametrize("rate", FrameRate)
def test_an_edl_is_read_back_to_the_frame(rate: FrameRate) -> None:
    text = timeline(*MATCH).text(TimelineFormat.EDL, rate)
    assert ("FCM: DROP FRAME" in text) == (rate in {FrameRate.NTSC, FrameRate.NTSC_DOUBLE})
    read = otio.adapters.read_from_string(text, "cmx_3600", rate=float(rate.exact))
    clips = [each for each in read.tracks[0] if isinstance(each, otio.schema.Clip)]
    assert [each.name for each in clips] == [UNICODE, "Save"]
    starts = [each.source_range.start_time.value for each in clips]
    assert starts == [round(60.0 * rate.exact), round(3600.0 * rate.exact)]


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - our own file


def seconds(value: str | None) -> Fraction:
    assert value is not None
    assert value.endswith("s")
    return Fraction(value.removesuffix("s"))


@pytest.mark.parametrize("rate", FrameRate)
def test_all_times_of_an_fcpxml_are_whole_frames(rate: FrameRate) -> None:
    text = timeline(*MATCH).text(TimelineFormat.FCPXML, rate)
    root = parsed(text)
    form = root.find("resources/format")
    assert form is not None
    frame = seconds(form.get("frameDuration"))
    assert frame == 1 / rate.exact
    spine = root.find("library/event/project/sequence/spine")
    assert spine is not None
    assert [each.tag for each in spine] == ["gap", "asset-clip"] * 2
    assert spine[1].get("name") == UNICODE
    assert spine[1].get("offset") == spine[1].get("start")
    for each in spine.iter():
        times = [each.get(name) for name in ("offset", "start", "duration")]
        assert all((seconds(time) / frame).denominator == 1 for time in times if time)
    for before, after in pairwise(spine):
        end = seconds(before.get("offset")) + seconds(before.get("duration"))
        assert end == seconds(after.get("offset"))
    media = root.find("resources/asset/media-rep")
    assert media is not None
    assert media.get("src") == "./match%201.mp4"
    sequence = root.find("library/event/project/sequence")
    assert sequence is not None
    is_drop = rate in {FrameRate.NTSC, FrameRate.NTSC_DOUBLE}
    assert sequence.get("tcFormat") == ("DF" if is_drop else "NDF")


def test_a_cut_has_no_gaps() -> None:
    cut = timeline(*MATCH, layout=TimelineLayout.CUT)
    text = cut.text(TimelineFormat.OTIO, FrameRate.PAL)
    read = otio.adapters.read_from_string(text, "otio_json")
    assert [each.range_in_parent().start_time.value for each in read.tracks[0]] == [0, 250]
    spine = parsed(cut.text(TimelineFormat.FCPXML, FrameRate.PAL)).find(".//spine")
    assert spine is not None
    assert [each.get("offset") for each in spine] == ["0s", "10s"]


def test_a_csv_holds_no_formula() -> None:
    text = timeline(moment(60.0, 70.0, '=HYPERLINK("http://x")')).text(TimelineFormat.CSV, None)
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["title"].startswith("'=")
    assert (row["start"], row["duration"], row["tags"]) == ("60.000", "10.000", "goal var")


def test_an_edl_has_the_best_of_more_events_than_fit() -> None:
    many = [moment(10.0 * n, 10.0 * n + 5, f"m{n}", score=n / 2000) for n in range(1100)]
    text = timeline(*many, end=12_000.0).text(TimelineFormat.EDL, FrameRate.PAL)
    assert text.count("FROM CLIP NAME") == 999
    assert "FROM CLIP NAME:  m100\n" not in text
    assert "FROM CLIP NAME:  m101\n" in text


@pytest.mark.parametrize("form", TimelineFormat)
def test_a_stream_without_highlights_is_an_empty_timeline(form: TimelineFormat) -> None:
    text = timeline().text(form, FrameRate.PAL)
    assert "Save" not in text
    assert text
