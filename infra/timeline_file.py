"""Highlights as files for editing programs: EDL, OpenTimelineIO, Final Cut Pro's XML, and CSV.

Each file places the highlights of a stream on one recording of it, whose first picture is second 0
of the stream's media time. EDL and OTIO are written by OpenTimelineIO. FCPXML is written here: the
library's adapter drops the rates of NTSC and fails on names with an apostrophe.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from enum import StrEnum
from fractions import Fraction
from typing import Final
from urllib.parse import quote
from xml.etree import ElementTree as ET

import opentimelineio as otio
from opentimelineio.opentime import RationalTime, TimeRange

from domain.highlights.chapters import Chapter, ChapterMoment
from domain.model import Model
from domain.text import one_line

_MOST_EVENTS: Final = 999
"""Of an EDL: an event's number has three digits."""

_REEL: Final = 8
"""Characters of a reel's name in an EDL (CMX 3600)."""

_FORMULA: Final = ("=", "+", "-", "@")
_COLUMNS: Final = ("number", "start", "end", "duration", "title", "score", "tags", "highlight_id")


class TimelineFormat(StrEnum):
    """File format of a timeline."""

    EDL = "edl"  # CMX 3600
    OTIO = "otio"
    FCPXML = "fcpxml"
    CSV = "csv"


MEDIA_TYPES: Final = {
    TimelineFormat.EDL: "text/plain",
    TimelineFormat.OTIO: "application/vnd.pixar.opentimelineio+json",
    TimelineFormat.FCPXML: "application/xml",
    TimelineFormat.CSV: "text/csv",
}


class FrameRate(StrEnum):
    """Pictures per second, as editing programs name them; those of NTSC count drop-frame."""

    FILM = "23.976"
    CINEMA = "24"
    PAL = "25"
    NTSC = "29.97"
    THIRTY = "30"
    FIFTY = "50"
    NTSC_DOUBLE = "59.94"
    SIXTY = "60"

    @property
    def exact(self) -> Fraction:
        """The rate: 29.97 is 30000/1001."""
        nominal = round(float(self.value))
        return Fraction(nominal) if self.value.isdigit() else Fraction(nominal * 1000, 1001)

    @property
    def is_drop_frame(self) -> bool:
        """Return True if its timecode leaves out numbers to keep pace with the clock."""
        return self in {FrameRate.NTSC, FrameRate.NTSC_DOUBLE}


class TimelineLayout(StrEnum):
    """Where highlights lie on a timeline."""

    STREAM = "stream"  # where they lie in the stream, with gaps
    CUT = "cut"  # one after the other


class TimelineFile(Model):
    """What a timeline's file says.

    Attributes:
        name: of the timeline.
        reel: name of the recording, of which an EDL keeps eight letters and digits.
        media: URL or file name of the recording.
        end: seconds of the recording.
        chapters: of the stream, in order.
    """

    name: str
    reel: str
    media: str
    end: float
    chapters: tuple[Chapter, ...]
    layout: TimelineLayout = TimelineLayout.STREAM

    def text(self, form: TimelineFormat, rate: FrameRate | None) -> str:
        """Return the file; `rate` is needed by all formats but CSV."""
        if form is TimelineFormat.CSV:
            return self._csv()
        assert rate is not None  # noqa: S101 - the route requires it
        if form is TimelineFormat.FCPXML:
            return self._fcpxml(rate.exact)
        timeline = self._timeline(rate.exact)
        if form is TimelineFormat.OTIO:
            return str(otio.adapters.write_to_string(timeline, "otio_json"))
        mode = "DROP FRAME" if rate.is_drop_frame else "NON-DROP FRAME"
        header = f"TITLE: {timeline.name}\nFCM: {mode}\n\n"
        if not timeline.tracks[0]:  # the adapter fails on an empty track
            return header
        timeline.name = ""  # else it writes a header without the mode
        events = otio.adapters.write_to_string(timeline, "cmx_3600", rate=float(rate.exact))
        return f"{header}{events}"

    def _timeline(self, rate: Fraction) -> otio.schema.Timeline:
        per_second = float(rate)

        def span(first: int, last: int) -> TimeRange:
            return TimeRange(
                RationalTime(first, per_second), RationalTime(last - first, per_second)
            )

        track = otio.schema.Track(name="Highlights", kind=otio.schema.TrackKind.Video)
        at = 0
        for chapter in self._shown():
            first, last = _frames(chapter, rate)
            if self.layout is TimelineLayout.STREAM and first > at:
                track.append(otio.schema.Gap(source_range=span(0, first - at)))
            recording = otio.schema.ExternalReference(
                target_url=one_line(self.media),
                available_range=span(0, max(last, round(self.end * rate))),
            )
            moment = chapter.moment
            track.append(
                otio.schema.Clip(
                    name=one_line(chapter.title),
                    media_reference=recording,
                    source_range=span(first, last),
                    metadata={
                        "cmx_3600": {"reel": self._reel()},
                        "tldrtv": {} if moment is None else moment.model_dump(mode="json"),
                    },
                )
            )
            at = last
        timeline = otio.schema.Timeline(
            name=one_line(self.name), global_start_time=RationalTime(0, per_second)
        )
        timeline.tracks.append(track)
        return timeline

    def _fcpxml(self, rate: Fraction) -> str:
        def seconds(frames: int) -> str:
            return f"{frames / rate}s"  # a whole number of seconds has no denominator

        shown = self._shown()
        spans = [_frames(each, rate) for each in shown]
        whole = max([round(self.end * rate), *(last for _, last in spans)])
        is_drop_frame = rate.denominator != 1 and rate.numerator % 30_000 == 0
        counting = "DF" if is_drop_frame else "NDF"
        root = ET.Element("fcpxml", version="1.9")
        resources = ET.SubElement(root, "resources")
        ET.SubElement(resources, "format", id="r1", frameDuration=seconds(1))
        asset = ET.SubElement(
            resources,
            "asset",
            id="r2",
            name=one_line(self.name),
            start="0s",
            duration=seconds(whole),
            hasVideo="1",
            hasAudio="1",
            format="r1",
        )
        ET.SubElement(asset, "media-rep", kind="original-media", src=_url(self.media))
        event = ET.SubElement(ET.SubElement(root, "library"), "event", name=one_line(self.name))
        project = ET.SubElement(event, "project", name=one_line(self.name))
        sequence = ET.SubElement(project, "sequence", format="r1", tcStart="0s", tcFormat=counting)
        spine = ET.SubElement(sequence, "spine")
        at = 0
        for chapter, (first, last) in zip(shown, spans, strict=True):
            if self.layout is TimelineLayout.STREAM and first > at:
                gap = ET.SubElement(spine, "gap", name="Gap", offset=seconds(at), start="0s")
                gap.set("duration", seconds(first - at))
                at = first
            length = seconds(last - first)
            clip = ET.SubElement(
                spine,
                "asset-clip",
                ref="r2",
                name=one_line(chapter.title),
                offset=seconds(at),
                start=seconds(first),
                duration=length,
                tcFormat=counting,
            )
            if chapter.moment is not None and chapter.moment.tags:
                words = one_line(", ".join(chapter.moment.tags))
                ET.SubElement(clip, "keyword", start=seconds(first), duration=length, value=words)
            at += last - first
        sequence.set("duration", seconds(at))
        ET.indent(root)
        body = ET.tostring(root, encoding="unicode")
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n{body}\n'

    def _csv(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(_COLUMNS)
        for number, (chapter, moment) in enumerate(_with_moments(self._shown()), start=1):
            writer.writerow(
                (
                    *(number, f"{chapter.start:.3f}", f"{chapter.end:.3f}"),
                    *(f"{chapter.end - chapter.start:.3f}", _cell(chapter.title)),
                    *(f"{moment.score:.3f}", _cell(" ".join(moment.tags)), moment.highlight_id),
                )
            )
        return text.getvalue()

    def _shown(self) -> list[Chapter]:
        """Return the chapters of highlights, the best `_MOST_EVENTS` of them."""
        found = [chapter for chapter, _ in _with_moments(self.chapters)]
        best = sorted(found, key=lambda each: each.moment.score if each.moment else 0.0)
        return sorted(best[-_MOST_EVENTS:], key=lambda each: each.start)

    def _reel(self) -> str:
        return "".join(each for each in self.reel.upper() if each.isalnum())[:_REEL]


def _with_moments(chapters: Sequence[Chapter]) -> list[tuple[Chapter, ChapterMoment]]:
    return [(each, each.moment) for each in chapters if each.moment is not None]


def _frames(chapter: Chapter, rate: Fraction) -> tuple[int, int]:
    """Return the first picture of a chapter and that after its last; it has one at least."""
    first = round(chapter.start * rate)
    return first, max(first + 1, round(chapter.end * rate))


def _url(media: str) -> str:
    """Return the URL of a recording; a file name stands beside the timeline's file."""
    return media if "://" in media else f"./{quote(media)}"


def _cell(text: str) -> str:
    """Return text that no spreadsheet takes for a formula."""
    line = one_line(text)
    return f"'{line}" if line.startswith(_FORMULA) else line
