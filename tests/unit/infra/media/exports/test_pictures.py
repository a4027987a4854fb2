"""The best picture is sharp and not black; properties of animated WebP."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFilter

from infra.media.exports.pictures import best_picture, read_webp


def drawn(brightness: int) -> Image.Image:
    image = Image.new("RGB", (320, 180), (brightness, brightness // 2, brightness // 3))
    draw = ImageDraw.Draw(image)
    for x in range(0, 320, 20):
        draw.line((x, 0, 320 - x, 180), fill=(brightness // 4,) * 3, width=3)
    return image


def saved(image: Image.Image, path: Path) -> Path:
    image.save(path, quality=95)
    return path


def test_the_sharpest_picture_that_is_not_black_is_the_best(tmp_path: Path) -> None:
    sharp = drawn(200)
    blurred = saved(sharp.filter(ImageFilter.GaussianBlur(6)), tmp_path / "1.jpg")
    best = saved(sharp, tmp_path / "2.jpg")
    noise = Image.effect_noise((320, 180), 20).point(lambda level: max(0, level - 120) % 16)
    black = saved(noise.convert("RGB"), tmp_path / "3.jpg")
    found = best_picture([blurred, best, black])
    assert found is not None
    assert (found.path, found.width, found.height) == (best, 320, 180)


def test_of_black_pictures_one_is_still_chosen(tmp_path: Path) -> None:
    black = saved(Image.new("RGB", (320, 180)), tmp_path / "1.jpg")
    found = best_picture([black])
    assert found is not None
    assert found.blurhash.startswith("L")  # four by three components


def test_no_picture_is_none() -> None:
    assert best_picture([]) is None


def test_the_blurhash_of_one_color_is_that_color(tmp_path: Path) -> None:
    found = best_picture([saved(Image.new("RGB", (64, 64), (255, 0, 0)), tmp_path / "red.png")])
    assert found is not None
    # "TI:j" is 0xFF0000 in base 83, less what 4:2:0 loses; the reference encoder gives the same.
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
    value = 0
    for character in found.blurhash[2:6]:
        value = value * 83 + alphabet.index(character)
    assert ((value >> 16) & 255, (value >> 8) & 255, value & 255) == (255, 0, 0)
    assert len(found.blurhash) == 4 + 2 * 4 * 3


def test_an_animated_webp_says_its_duration_and_size() -> None:
    target = io.BytesIO()
    frames = [drawn(60 * number) for number in range(1, 4)]
    frames[0].save(target, "WEBP", save_all=True, append_images=frames[1:], duration=100)
    found = read_webp(target.getvalue())
    assert found.duration == pytest.approx(0.3)
    assert (found.width, found.height) == (320, 180)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"RIFF\x10\x00\x00\x00WEBPVP8 "])
def test_other_data_is_no_animation(data: bytes) -> None:
    with pytest.raises(ValueError, match="WebP"):
        read_webp(data)
