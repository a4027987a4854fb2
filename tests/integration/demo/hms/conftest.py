from __future__ import annotations

from pathlib import Path

import pytest

from tests.factories.media import make_video


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds: six segments."""
    return make_video(tmp_path_factory.mktemp("media") / "match.mp4", seconds=12)
