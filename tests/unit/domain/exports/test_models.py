"""Sizes, defaults and refusals of renditions, and what becomes of an export."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from domain.exports.models import (
    Aspect,
    ExportSource,
    ExportSpec,
    ExportStatus,
    Fit,
    LowerThird,
    RenderedRendition,
    RenditionFormat,
    RenditionSpec,
    Watermark,
    outcome,
)
from domain.exports.presets import PRESETS, PresetName

MP4 = RenditionFormat.MP4


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({}, (1280, 720)),
        ({"resolution": 360}, (640, 360)),
        ({"resolution": 1080}, (1280, 720)),
        ({"aspect": "9:16"}, (404, 720)),
        ({"aspect": "9:16", "fit": "pad"}, (1080, 1920)),
        ({"aspect": "1:1", "resolution": 480}, (480, 480)),
        ({"aspect": "1:1", "fit": "pad"}, (1080, 1080)),
        ({"aspect": "4:5"}, (576, 720)),
        ({"aspect": "16:9"}, (1280, 720)),
        ({"preset": "tiktok"}, (404, 720)),
        ({"preset": "x"}, (1280, 720)),
    ],
)
def test_a_rendition_has_its_shape_and_is_never_enlarged(
    asked: dict[str, Any], size: tuple[int, int]
) -> None:
    assert RenditionSpec(format=MP4, **asked).size_in(1280, 720) == size


@pytest.mark.parametrize(("width", "height"), [(639, 359), (3, 1001), (1920, 1080), (7, 7)])
@pytest.mark.parametrize("aspect", list(Aspect))
@pytest.mark.parametrize("fit", list(Fit))
def test_sizes_are_even(width: int, height: int, aspect: Aspect, fit: Fit) -> None:
    size = RenditionSpec(format=MP4, aspect=aspect, fit=fit).size_in(width, height)
    assert all(side >= 2 and side % 2 == 0 for side in size)


def test_animated_pictures_are_small_unless_asked_otherwise() -> None:
    gif = RenditionSpec(format=RenditionFormat.GIF)
    assert gif.size_in(1920, 1080) == (640, 360)


def test_a_preset_gives_what_is_not_set() -> None:
    plain = RenditionSpec(format=MP4, preset=PresetName.TIKTOK)
    assert (plain.effective_aspect, plain.effective_loudness) == (Aspect.VERTICAL, -14)
    own = RenditionSpec(format=MP4, preset=PresetName.TIKTOK, aspect=Aspect.SQUARE, loudness=-16)
    assert (own.effective_aspect, own.effective_loudness) == (Aspect.SQUARE, -16)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"format": "gif", "preset": "x"}, "networks take MP4"),
        ({"format": "gif", "loudness": -14}, "has no sound"),
        ({"format": "gif", "captions": True}, "use format captions"),
        ({"format": "mp4", "resolution": 721}, "resolution"),
        ({"format": "mp4", "loudness": -13}, "loudness"),
    ],
)
def test_what_no_rendition_can_be_is_refused(asked: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        RenditionSpec.model_validate(asked)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({}, "either text or image"),
        ({"text": "a", "image": "b"}, "either text or image"),
        ({"text": "two\nlines"}, "one line"),
        ({"text": "x", "opacity": 0.0}, "opacity"),
        ({"text": "x", "margin": 0.3}, "margin"),
        ({"text": "x" * 101}, "text"),
    ],
)
def test_a_watermark_is_one_text_or_one_picture(asked: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Watermark.model_validate(asked)


@pytest.mark.parametrize("name", list(PresetName))
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"duration": 0.4}, "or more"),
        ({"duration": 1e6}, "at most"),
        ({"size": 10**12}, "bytes"),
    ],
)
def test_a_network_refuses_what_is_too_short_too_long_or_too_large(
    name: PresetName, change: dict[str, float], reason: str | None
) -> None:
    preset = PRESETS[name]
    fitting = {"duration": preset.longest, "size": preset.largest, "width": 720, "height": 1280}
    problem = preset.problem(**(fitting | change))  # type: ignore[arg-type]
    assert problem is None if reason is None else reason in (problem or "")


def test_tiktok_refuses_small_pictures() -> None:
    problem = PRESETS[PresetName.TIKTOK].problem(duration=10.0, size=1, width=202, height=360)
    assert problem == "it takes pictures of 360 pixels a side or more, and this has 202 x 360"


def test_networks_follow_the_action_unless_asked_otherwise() -> None:
    assert RenditionSpec(format=MP4, preset=PresetName.TIKTOK).effective_fit is Fit.TRACK
    own = RenditionSpec(format=MP4, preset=PresetName.TIKTOK, fit=Fit.PAD)
    assert own.effective_fit is Fit.PAD
    assert RenditionSpec(format=MP4, aspect=Aspect.VERTICAL).effective_fit is Fit.CROP


def test_the_second_line_of_a_lower_third_is_score_and_tags() -> None:
    assert LowerThird(title="Goal", score="2-1", tags=("goal", "late")).second_line == (
        "2-1 · goal · late"
    )
    assert LowerThird(title="Goal").second_line == ""


def test_files_of_a_tenant_lie_below_the_tenant_and_the_stream() -> None:
    spec = ExportSpec(
        id=uuid4(),
        tenant_id=uuid4(),
        source=ExportSource(stream_id=uuid4(), start=0.0, end=1.0),
        renditions=(RenditionSpec(format=RenditionFormat.AUDIO),),
    )
    assert spec.key(1) == f"{spec.tenant_id}/{spec.source.stream_id}/exports/{spec.id}/1.m4a"


def test_an_export_is_ready_if_all_renditions_are() -> None:
    made = RenderedRendition(number=1, key="k")
    assert outcome([made]) == (ExportStatus.READY, "")
    status, message = outcome([made, RenderedRendition(number=2, message="No sound.")])
    assert status is ExportStatus.FAILED
    assert message == "1 of 2 renditions failed; rendition 2: No sound."
