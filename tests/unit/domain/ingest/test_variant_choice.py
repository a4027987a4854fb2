"""Variants are ranked by what they say, by what the others say, and only then by bandwidth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ingest.playlist import (
    MasterPlaylist,
    Rendition,
    Variant,
    alternatives,
    captions,
    choose_variant,
    order_variants,
    separate_audio,
)
from domain.media.segments import VariantPolicy
from infra.media.hls_playlist import parse_playlist

variants = st.builds(
    Variant,
    url=st.text(min_size=1),
    bandwidth=st.integers(0, 10_000_000),
    height=st.one_of(st.none(), st.integers(90, 4320)),
    audio_only=st.booleans(),
    separate_audio=st.booleans(),
)


def variant(height: int | None, bandwidth: int = 1_000_000, **rest: bool) -> Variant:
    return Variant(url=f"{height}-{bandwidth}", height=height, bandwidth=bandwidth, **rest)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([variant(1080), variant(720), variant(480)], 720),
        ([variant(1080), variant(2160)], 1080),
        ([variant(360), variant(480)], 480),
        ([variant(720), variant(720, separate_audio=True)], 720),
        ([variant(720, separate_audio=True), variant(None, audio_only=True)], 720),
        ([variant(None), variant(360)], 360),
    ],
)
def test_the_best_variant_with_sound_and_pictures_that_is_not_too_high(
    offered: list[Variant], chosen: int
) -> None:
    assert choose_variant(offered, VariantPolicy(max_height=720)).height == chosen


def test_without_heights_the_bandwidth_decides() -> None:
    offered = [variant(None, 300_000), variant(None, 900_000)]
    assert choose_variant(offered, VariantPolicy()).bandwidth == 900_000


def test_sound_alone_is_better_than_nothing() -> None:
    assert choose_variant([variant(None, audio_only=True)], VariantPolicy()).name == "audio"


@given(offered=st.lists(variants, min_size=1), height=st.integers(1, 4320))
def test_one_of_those_offered_is_chosen_and_pictures_whenever_there_are_any(
    offered: list[Variant], height: int
) -> None:
    chosen = choose_variant(offered, VariantPolicy(max_height=height))
    assert chosen in offered
    assert not chosen.audio_only or all(each.audio_only for each in offered)


@pytest.mark.parametrize(
    ("offered", "name"),
    [(variant(720), "720p"), (variant(None, 1_720_000), "1720k")],
)
def test_names_are_safe_in_file_names(offered: Variant, name: str) -> None:
    assert offered.name == name


def chosen(*lines: str, limit: int = 720) -> str:
    """Choose among variants given as EXT-X-STREAM-INF attributes; return its URI."""
    text = "#EXTM3U\n" + "".join(
        f"#EXT-X-STREAM-INF:{line}\n{number}.m3u8\n" for number, line in enumerate(lines)
    )
    master = parse_playlist(text, url="https://x/master.m3u8")
    assert isinstance(master, MasterPlaylist)
    policy = VariantPolicy(max_height=limit)
    return choose_variant(master.variants, policy, master=master).url.rpartition("/")[2][:-5]


AVC = 'CODECS="avc1.64001f,mp4a.40.2"'
SOUND = 'CODECS="mp4a.40.2"'


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["BANDWIDTH=64000", "BANDWIDTH=5000000,RESOLUTION=1920x1080"], "1"),
        (["BANDWIDTH=64000", f"BANDWIDTH=5000000,RESOLUTION=1920x1080,{AVC}"], "1"),
        (["BANDWIDTH=64000", f"BANDWIDTH=2000000,{AVC}"], "1"),
        (["BANDWIDTH=64000", "BANDWIDTH=700000", "BANDWIDTH=2500000"], "2"),
        ([f"BANDWIDTH=128000,{SOUND}", "BANDWIDTH=300000"], "1"),
        ([f"BANDWIDTH=640000,{SOUND}", "BANDWIDTH=90000"], "1"),
        (["BANDWIDTH=128000", "BANDWIDTH=200000,RESOLUTION=320x180"], "1"),
        (["RESOLUTION=1920x1080", "BANDWIDTH=64000"], "0"),
        (["BANDWIDTH=900000", "BANDWIDTH=5000000,RESOLUTION=1920x1080"], "0"),
        (["BANDWIDTH=96000,FRAME-RATE=30", "BANDWIDTH=64000"], "0"),
        ([SOUND], "0"),
        (['CODECS="avc1.64001f"', f"RESOLUTION=640x360,{AVC}"], "1"),
    ],
)
def test_pictures_come_before_sound_alone(lines: list[str], expected: str) -> None:
    assert chosen(*lines) == expected


@pytest.mark.parametrize(
    ("limit", "expected"), [(720, "1"), (1080, "0"), (2160, "0"), (500, "2"), (200, "2")]
)
def test_portrait_is_limited_by_its_shorter_side(limit: int, expected: str) -> None:
    lines = [
        f"BANDWIDTH={n},RESOLUTION={size}"
        for n, size in ((5000000, "1080x1920"), (2500000, "720x1280"), (800000, "360x640"))
    ]
    assert chosen(*lines, limit=limit) == expected


@pytest.mark.parametrize(
    "other", ["hvc1.2.4.L123", "hev1.1.6.L93", "av01.0.05M.08", "dvh1.05.06", "vp09.00.40.08"]
)
def test_h264_comes_before_other_codecs_of_the_same_height(other: str) -> None:
    lines = [
        f'BANDWIDTH=4000000,RESOLUTION=1280x720,CODECS="{other},mp4a.40.2"',
        f"BANDWIDTH=2000000,RESOLUTION=1280x720,{AVC}",
    ]
    assert chosen(*lines) == "1"
    assert chosen(lines[0], f"BANDWIDTH=1000000,RESOLUTION=640x360,{AVC}") == "0"


def test_of_equal_pictures_those_with_aac_and_without_hdr_come_first() -> None:
    dolby = 'BANDWIDTH=3000000,RESOLUTION=1280x720,CODECS="avc1.64001f,ec-3"'
    assert chosen(dolby, f"BANDWIDTH=2500000,RESOLUTION=1280x720,{AVC}") == "1"
    hdr = 'BANDWIDTH=3000000,RESOLUTION=1280x720,CODECS="hvc1.2.4.L93,mp4a.40.2",VIDEO-RANGE=PQ'
    sdr = 'BANDWIDTH=2500000,RESOLUTION=1280x720,CODECS="hvc1.1.6.L93,mp4a.40.2"'
    assert chosen(hdr, sdr) == "1"


def test_variants_of_key_frames_alone_are_never_offered() -> None:
    text = (
        "#EXTM3U\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9000000,RESOLUTION=1280x720,"
        'URI="iframes.m3u8"\n#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360\nv.m3u8\n'
    )
    master = parse_playlist(text, url="https://x/master.m3u8")
    assert isinstance(master, MasterPlaylist)
    assert [each.url for each in master.variants] == ["https://x/v.m3u8"]


def test_a_portrait_variant_is_named_by_its_shorter_side() -> None:
    assert Variant(url="u", width=720, height=1280).name == "720p"


def master(*variants: Variant, renditions: tuple[Rendition, ...] = ()) -> MasterPlaylist:
    return MasterPlaylist(variants=variants, renditions=renditions)


HIGH = Variant(url="https://a/high.m3u8?token=2", bandwidth=3_000_000, width=1280, height=720)
BACKUP = HIGH.model_copy(update={"url": "https://b/high.m3u8"})
LOW = Variant(url="https://a/low.m3u8", bandwidth=800_000, width=640, height=360)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a/high.m3u8?token=2", "720p"),
        ("https://a/high.m3u8?token=1", "720p"),  # renewed
        ("https://a/elsewhere/high.m3u8", "720p"),  # moved
    ],
)
def test_the_same_rendition_is_tried_first_then_its_backup_then_the_next(
    url: str, name: str
) -> None:
    found = alternatives(master(LOW, HIGH, BACKUP), VariantPolicy(), url=url, name=name)
    assert found == (HIGH, BACKUP, LOW)


def test_a_rendition_that_is_gone_leaves_the_others() -> None:
    found = alternatives(master(LOW, HIGH), VariantPolicy(), url="https://a/480.m3u8", name="480p")
    assert found == (HIGH, LOW)


def audio(name: str, url: str | None, **rest: bool | str) -> Rendition:
    fields = {"type": "AUDIO", "group": "a", "name": name, "url": url} | rest
    return Rendition.model_validate(fields)


@pytest.mark.parametrize(
    ("renditions", "expected"),
    [
        ((audio("en", "en"), audio("es", "es", default=True)), "es"),
        ((audio("en", "en"), audio("es", "es", autoselect=True)), "es"),
        ((audio("en", "en"), audio("es", "es")), "en"),
        ((audio("en", None, default=True), audio("es", "es")), None),  # in the variant itself
        ((audio("en", "en", group="other"),), None),
        ((), None),
    ],
)
def test_sound_is_the_default_of_the_variants_group(
    renditions: tuple[Rendition, ...], expected: str | None
) -> None:
    variant = HIGH.model_copy(update={"audio_group": "a"})
    found = separate_audio(master(variant, renditions=renditions), variant)
    assert (found.url if found else None) == expected


def subtitles(url: str, group: str = "s", **rest: bool | str) -> Rendition:
    return Rendition.model_validate(
        {"type": "SUBTITLES", "group": group, "name": url, "url": url} | rest
    )


@pytest.mark.parametrize(
    ("renditions", "expected"),
    [
        ((subtitles("forced", forced=True, default=True), subtitles("full")), "full"),
        ((subtitles("other", group="t", default=True), subtitles("own")), "own"),
        ((subtitles("en"), subtitles("es", default=True)), "es"),
        ((subtitles("en"), subtitles("es", autoselect=True)), "es"),
        ((subtitles("es", language="es"), subtitles("en", language="en")), "en"),
        ((subtitles("other", group="t"),), "other"),
        ((subtitles("forced", forced=True),), "forced"),
        ((), None),
    ],
)
def test_captions_are_the_full_ones_of_the_variants_group(
    renditions: tuple[Rendition, ...], expected: str | None
) -> None:
    variant = HIGH.model_copy(update={"subtitles_group": "s", "audio_group": "a"})
    sound = audio("en", "sound", default=True, language="en")
    found = captions(master(variant, renditions=(*renditions, sound)), variant)
    assert (found.url if found else None) == expected


@given(offered=st.lists(variants, min_size=1), height=st.integers(1, 4320))
def test_all_are_offered_and_none_twice(offered: list[Variant], height: int) -> None:
    ordered = order_variants(offered, VariantPolicy(max_height=height))
    assert sorted(each.url for each in ordered) == sorted(each.url for each in offered)
