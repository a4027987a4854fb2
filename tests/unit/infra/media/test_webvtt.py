"""WebVTT segments of HLS streams, as packagers write them and as strangers break them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.media.webvtt import NotCaptionsError, parse_captions

BODY = (
    "\n\n00:00:01.500 --> 00:00:03.000 align:start\n<v Bob>Goal!\nWhat a goal\n"
    "\n00:05.000 --> 00:06.250\nx\n"
)


def test_cues_lie_on_the_clock_of_the_media() -> None:
    text = f"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000{BODY}"
    first, second = parse_captions(text)
    assert (first.start, first.end, first.text) == (11.5, 13.0, "<v Bob>Goal!\nWhat a goal")
    assert (second.start, second.end) == (15.0, 16.25)


def test_local_time_need_not_begin_at_zero() -> None:
    text = f"\ufeffWEBVTT\r\nX-TIMESTAMP-MAP=LOCAL:00:00:01.000,MPEGTS:8589934592{BODY}"
    assert [cue.start for cue in parse_captions(text)] == [0.5, 4.0]


def test_without_a_map_both_clocks_begin_at_zero() -> None:
    assert [cue.start for cue in parse_captions(f"WEBVTT{BODY}")] == [1.5, 5.0]


def test_a_segment_without_cues_has_none() -> None:
    assert parse_captions("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n") == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "<html>",
        f"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:x,LOCAL:0{BODY}",
        f"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:1{BODY}",
    ],
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(NotCaptionsError):
        parse_captions(text)


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        parse_captions("WEBVTT\n" + text)
    except NotCaptionsError:
        return
