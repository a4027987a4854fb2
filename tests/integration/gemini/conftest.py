"""What tests of Gemini share: a film with one moment in it, and somebody to watch it.

With GEMINI_API_KEY set, the tests that take `service` run a second time against the real Gemini,
which costs a few cents; without it that second time is not collected.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from infra.gemini import GeminiClient, GeminiOptions
from infra.media.pool import MediaPool
from infra.settings import Settings
from tests.factories.scenes import Film, Scene, film_scene, store_scene
from tests.fakes.gemini import KEY, FakeGemini
from tests.fakes.remembering_media_pool import RememberingMediaPool

# Read before the fixture `home` empties the environment.
_REAL_KEY = os.environ.get("GEMINI_API_KEY")
_REAL = [pytest.param("real", marks=pytest.mark.gemini)] if _REAL_KEY else []


class Service(NamedTuple):
    """Where Gemini is, and a key of it; `base_url` is None for the real one."""

    base_url: str | None
    key: str


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
def fake_gemini() -> Iterator[FakeGemini]:
    """A Gemini of this test's own."""
    with FakeGemini() as server:
        yield server


@pytest.fixture(params=["stand-in", *_REAL])
def service(request: pytest.FixtureRequest) -> Service:
    """Somebody to ask: the stand-in, and the real one where there is a key."""
    if request.param == "real":
        return Service(base_url=None, key=_REAL_KEY or "")
    fake_gemini: FakeGemini = request.getfixturevalue("fake_gemini")
    return Service(base_url=fake_gemini.url, key=KEY)


@pytest.fixture
async def client(fake_gemini: FakeGemini) -> AsyncIterator[GeminiClient]:
    """Our client of the stand-in, with little patience."""
    made = GeminiClient(KEY, brief_options(fake_gemini.url))
    yield made
    await made.close()


@pytest.fixture(scope="session")
def pool() -> Iterator[MediaPool]:
    """A child process that reads media, which does the same work once."""
    made = RememberingMediaPool()
    yield made
    asyncio.run(made.close())


@pytest.fixture
async def scene(film: Film, tmp_path: Path) -> Scene:
    """The film as ingest has stored it."""
    return await store_scene(film, tmp_path)


def brief_options(base_url: str | None, **values: float) -> GeminiOptions:
    """Options for a server that answers at once or never."""
    known: dict[str, object] = {"call_deadline": 5.0, "file_wait": 5.0, "file_poll": 0.01}
    return GeminiOptions.model_validate({"base_url": base_url, **known, **values})


# The default itself: at import, the developer's environment still holds.
MODEL = str(Settings.model_fields["gemini_model"].default)
