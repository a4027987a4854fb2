"""The reader of the screen: fonts, colors, learned regions, and what turns it off."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.analysis.screen import ScreenMemory, ScreenReading, ScreenState, follow_screen
from domain.profiles.model import Hud, HudBox, HudKind, HudRegion
from infra.media.screen.detection import TextDetector
from infra.media.screen.models import DETECTION, RECOGNITION, TextRecognitionError, model_file
from infra.media.screen.reader import ScreenReader
from infra.media.screen.recognition import TextRecognizer
from tests.factories.screens import Color, Screen

WHITE, BLACK, YELLOW, RED = (240, 240, 240), (10, 10, 10), (230, 220, 60), (200, 20, 20)
NAVY, STEEL, GRASS = (16, 32, 64), (70, 70, 70), (105, 155, 65)
BOX = HudBox(x=0.02, y=0.02, width=0.4, height=0.14)
SCORE = Hud(regions={"score": HudRegion(holds=HudKind.SCORE, box=BOX)}, score_step=3)


def read(screen: Screen, hud: Hud = SCORE, memory: ScreenMemory | None = None) -> ScreenReader:
    reader = ScreenReader(hud, memory or ScreenMemory())
    reader.see(screen.frame(), 2.0)
    return reader


def text(reader: ScreenReader) -> str:
    (reading,) = reader.readings
    return "".join(reading.text.split())


@pytest.mark.parametrize("size", [18, 28, 64])
@pytest.mark.parametrize(
    ("ink", "paper"),
    [(WHITE, NAVY), (BLACK, WHITE), (YELLOW, STEEL), (RED, STEEL), ((20, 60, 5), GRASS)],
    ids=["white on navy", "black on white", "yellow on grey", "red on grey", "green on green"],
)
def test_smooth_text_is_read_in_any_size_and_color(size: int, ink: Color, paper: Color) -> None:
    screen = Screen()
    screen.write("ARS 2 - 1 CHE", 50, 24, size=size, color=ink, paper=paper)
    said = text(read(screen))
    assert said.replace("-", "") == "ARS21CHE"


@pytest.mark.parametrize("color", [WHITE, YELLOW, BLACK], ids=["white", "yellow", "black"])
@pytest.mark.parametrize("block", [(12, 5), (8, 8), (6, 9)])
def test_a_font_of_blocks_is_read(color: Color, block: tuple[int, int]) -> None:
    screen = Screen()
    screen.write_blocks("28", 60, 40, color=color, block=block)
    assert text(read(screen)) == "28"


def test_a_clock_of_blocks_keeps_its_colon() -> None:
    clock = Hud(regions={"clock": HudRegion(holds=HudKind.CLOCK, box=BOX)})
    screen = Screen()
    screen.write_blocks("2:43", 60, 40, color=WHITE, block=(10, 6))
    assert text(read(screen, clock)) == "2:43"


def test_numbers_far_apart_form_one_score() -> None:
    screen = Screen()
    screen.write_blocks("0", 60, 40, color=WHITE)
    screen.write_blocks("4", 440, 40, color=YELLOW)
    (reading,) = read(screen).readings
    assert reading.text == "0 4"


def test_what_the_border_of_a_region_cuts_is_not_read() -> None:
    screen = Screen()
    screen.write("CUT OFF", 60, 2, size=28, color=WHITE)
    screen.write("3 - 2", 60, 60, size=28, color=WHITE)
    assert text(read(screen)) == "3-2"


def test_text_that_does_not_change_is_not_read_again() -> None:
    screen = Screen()
    screen.write("1 - 0", 60, 40, color=WHITE)
    reader = ScreenReader(SCORE, ScreenMemory())
    for number in range(12):
        reader.see(screen.frame(), 2.0 * number)
    assert 2 <= len(reader.readings) <= 3


def scoring(number: int, *, advert: bool = False) -> Screen:
    """Return a keyframe of a match in which the score rises at 50 and 70 of 90."""
    screen = Screen()
    if advert:
        screen.box(0, 0, 1279, 719, (30, 60, 160))
        screen.write("We will be right back", 400, 330, size=60, color=WHITE)
        return screen
    for player in range(5):
        x = (player * 240 + number * (37 + 11 * player)) % 1180
        y = 200 + (player * 90 + number * 29) % 400
        screen.box(x, y, 60, 90, (180, 40 * player, 60))
    goals = (number >= 50) + (number >= 70)
    screen.write(f"HOME {goals} - 0 AWAY", 60, 40, color=WHITE, paper=NAVY)
    return screen


def test_a_score_is_learned_and_kept_through_adverts() -> None:
    memory, state, found = ScreenMemory(), ScreenState(), []
    hud = Hud(score_step=1)
    for number in range(90):
        reader = ScreenReader(hud, ScreenMemory.model_validate_json(memory.model_dump_json()))
        reader.see(scoring(number, advert=55 <= number < 64).frame(), 2.0 * number)
        memory = reader.memory()
        state, facts = follow_screen(state, reader.readings, hud)
        found += [(fact.words, fact.at) for fact in facts]
    assert found == [
        ("score 0–0 → 1–0 on screen", 100.0),
        ("score 1–0 → 2–0 on screen", 140.0),
    ]
    assert len(memory.model_dump_json()) < 32_000


def follow(screens: list[Screen], hud: Hud) -> list[str]:
    """Return the facts of keyframes that are two seconds apart."""
    memory, state, found = ScreenMemory(), ScreenState(), []
    for number, screen in enumerate(screens):
        reader = ScreenReader(hud, memory)
        reader.see(screen.frame(), 2.0 * number)
        memory = reader.memory()
        state, facts = follow_screen(state, reader.readings, hud)
        found += [fact.words for fact in facts]
    return found


def test_the_numbers_of_a_score_that_stand_apart_are_learned_as_one() -> None:
    screens = []
    for number in range(16):
        screen = Screen()
        screen.write("HOME", 60, 40, color=WHITE, paper=NAVY)
        screen.write(f"{int(number >= 10)}", 300, 40, color=WHITE, paper=NAVY)
        screen.write("GUESTS", 60, 90, color=WHITE, paper=NAVY)
        screen.write("0", 300, 90, color=WHITE, paper=NAVY)
        screens.append(screen)
    assert follow(screens, Hud(score_step=1)) == ["score 0–0 → 1–0 on screen"]


def test_numbers_that_rise_every_few_seconds_are_read_on() -> None:
    screens = []
    for number in range(120):
        screen = Screen()
        screen.write(f"{number // 2}", 300, 40, size=60, color=WHITE)
        screen.write(f"{number // 3}", 760, 40, size=60, color=WHITE)
        screens.append(screen)
    assert len(follow(screens, Hud(score_step=1))) >= 35


def test_letters_that_the_model_does_not_know_leave_the_score() -> None:
    screens = []
    for number in range(14):
        screen = Screen()
        screen.write(f"ДИНАМО {int(number >= 8)} - 2 СПАРТАК", 60, 40, color=WHITE, paper=NAVY)
        screens.append(screen)
    assert follow(screens, Hud(score_step=1)) == ["score 0–2 → 1–2 on screen"]


def test_without_a_detector_the_channel_is_off_and_says_what_to_do(tmp_path: Path) -> None:
    damaged = tmp_path / "det.onnx"
    damaged.write_bytes(model_file(DETECTION).read_bytes()[:100_000])
    reader = ScreenReader(Hud(), ScreenMemory(), detector=lambda: TextDetector(damaged))
    reader.see(Screen().frame(), 2.0)
    assert "the model det.onnx cannot be loaded" in reader.memory().off
    assert "reinstall the package rapidocr" in reader.memory().off


def test_a_small_picture_turns_the_channel_off_and_says_what_to_do() -> None:
    low = HudRegion(holds=HudKind.SCORE, box=HudBox(x=0, y=0, width=0.5, height=0.05))
    reader = ScreenReader(Hud(regions={"score": low}), ScreenMemory())
    reader.see(Screen(100, 100).frame(), 2.0)
    assert reader.memory().off == (
        "the region score is 5 rows high in a picture of 100x100, and text needs 10: "
        "choose a variant of 720 rows"
    )


@pytest.mark.parametrize("size", [(100, 100), (64, 36), (854, 480), (608, 1080), (7680, 4320)])
def test_regions_are_learned_in_pictures_of_any_size(size: tuple[int, int]) -> None:
    screen = Screen(*size)
    screen.write("1 - 0", 2, 2, size=max(12, size[1] // 25), color=WHITE)
    reader = ScreenReader(Hud(), ScreenMemory())
    for at in (2.0, 4.0, 6.0, 8.0):
        reader.see(screen.frame(), at)
    assert reader.memory().off == ""


def test_a_score_is_read_in_a_picture_of_8k() -> None:
    screen = Screen(7680, 4320)
    screen.write("2 - 1", 400, 240, size=170, color=WHITE)
    assert text(read(screen)) == "2-1"


@pytest.mark.parametrize("pixel_format", ["yuv422p", "yuv444p", "nv12", "yuv420p10le", "gray"])
def test_a_score_is_read_in_any_pixel_format(pixel_format: str) -> None:
    screen = Screen()
    screen.write("2 - 1", 60, 40, size=40, color=WHITE)
    reader = ScreenReader(SCORE, ScreenMemory())
    reader.see(screen.frame(pixel_format), 2.0)
    assert text(reader) == "2-1"


def test_without_a_model_the_channel_is_off_and_tries_again_later(tmp_path: Path) -> None:
    screen = Screen()
    screen.write("2 - 1", 60, 40, size=40, color=WHITE)

    def missing() -> TextRecognizer:
        return TextRecognizer(tmp_path / "rec.onnx")

    reader = ScreenReader(SCORE, ScreenMemory(), missing)
    reader.see(screen.frame(), 2.0)
    memory = reader.memory()
    assert "the model rec.onnx cannot be loaded" in memory.off
    assert "reinstall the package rapidocr" in memory.off
    for at, readings in ((4.0, 0), (700.0, 1)):
        reader = ScreenReader(SCORE, memory)
        reader.see(screen.frame(), at)
        assert len(reader.readings) == readings
    assert reader.memory().off == ""


def test_a_corrupt_model_is_refused_with_what_to_do(tmp_path: Path) -> None:
    corrupt = tmp_path / "rec.onnx"
    corrupt.write_bytes(model_file(RECOGNITION).read_bytes()[:100_000])
    with pytest.raises(TextRecognitionError, match="reinstall the package rapidocr"):
        TextRecognizer(corrupt)


def test_a_state_stored_before_the_upgrade_is_continued() -> None:
    stored = {
        "position": 10.0,
        "budget": 80.0,
        "regions": {"score": {"seen": "AAAA", "read": "AAAA", "busy": "AAAA", "text": "1 - 0"}},
        "edges": "eJxjYBgFo2AUDHcAAA==",
        "still": "bm90IGNvbXByZXNzZWQ=",
        "compared": 40,
    }
    screen = Screen()
    screen.write("2 - 0", 60, 40, size=40, color=WHITE)
    reader = ScreenReader(SCORE, ScreenMemory.model_validate(stored))
    reader.see(screen.frame(), 12.0)
    assert text(reader) == "2-0"
    learning = ScreenReader(Hud(), ScreenMemory.model_validate(stored))
    learning.see(screen.frame(), 12.0)
    assert learning.memory().off == ""


def test_readings_of_two_regions_form_one_score() -> None:
    hud = Hud(
        regions={
            side: HudRegion(holds=HudKind.SCORE, box=HudBox(x=x, y=0, width=0.1, height=0.1))
            for side, x in (("home", 0.1), ("away", 0.8))
        },
        score_step=1,
    )
    shown = [("home", 0, "0"), ("away", 0, "2"), ("home", 2, "0"), ("away", 2, "2")]
    shown += [("home", 4, "1"), ("home", 6, "1"), ("away", 8, "3"), ("away", 10, "3")]
    readings = [
        ScreenReading(region=side, holds=HudKind.SCORE, at=at, text=said, confidence=0.9)
        for side, at, said in shown
    ]
    state, facts = follow_screen(ScreenState(), readings, hud)
    assert [fact.words for fact in facts] == [
        "score 0–2 → 1–2 on screen",
        "score 1–2 → 1–3 on screen",
    ]
    assert state.score == (1, 3)
