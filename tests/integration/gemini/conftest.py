"""What tests of Gemini share: the stand-in, and a film with one moment in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gemini_stand_in import GeminiStandIn
from tests.integration.activities.scene import Film, film_scene


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    """A film of 40 seconds whose moment peaks at 24 seconds."""
    return film_scene(tmp_path_factory.mktemp("film"))


@pytest.fixture(scope="session")
def film_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same film as one MP4 file."""
    folder = tmp_path_factory.mktemp("whole-film")
    film_scene(folder)
    return folder / "scene.mp4"


@pytest.fixture(scope="session")
def film_bytes(film_file: Path) -> bytes:
    """What is in that file."""
    return film_file.read_bytes()


@pytest.fixture
def stand_in() -> Iterator[GeminiStandIn]:
    """A Gemini of this test's own."""
    with GeminiStandIn() as server:
        yield server
