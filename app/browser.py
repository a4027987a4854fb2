"""The browser of the browser tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_PLAYWRIGHT_BROWSERS: Final = "~/.cache/ms-playwright"


def chromium_path() -> str | None:
    """A Chromium or Chrome: on PATH, else one that Playwright installed."""
    for name in _NAMES:
        if path := shutil.which(name):
            return path
    browsers = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", _PLAYWRIGHT_BROWSERS)).expanduser()
    return next((str(path) for path in browsers.glob("chromium-*/chrome-*/chrome")), None)
