"""What the commentator of a scripted match says."""

from __future__ import annotations

from demo.match.commentary import spoken
from demo.match.direct import write_script


def test_each_moment_is_named_just_after_its_peak() -> None:
    truth = write_script(seed=5, duration=180.0).truth
    said = spoken(truth)
    assert truth.moments
    for moment in truth.moments:
        kind = moment.kind.replace("_", " ")
        (call,) = [each for each in said if 0 < each.start - moment.peak < 2]
        assert kind in call.text


def test_captions_are_in_order_and_within_the_match() -> None:
    truth = write_script(seed=5, duration=180.0).truth
    said = spoken(truth)
    assert [each.start for each in said] == sorted(each.start for each in said)
    assert all(0 <= each.start < each.end for each in said)
    assert spoken(truth) == said
