"""The door to Gemini: its client, its errors, the shared quota, and the video files it is shown."""

from __future__ import annotations

from infra.gemini.client import GeminiClient, GeminiOptions, Video
from infra.gemini.errors import (
    GeminiBusyError,
    GeminiError,
    GeminiRefusedError,
    GeminiUnavailableError,
    VideoUnusableError,
)
from infra.gemini.quota import GeminiQuota, QuotaLimits

__all__ = [
    "GeminiBusyError",
    "GeminiClient",
    "GeminiError",
    "GeminiOptions",
    "GeminiQuota",
    "GeminiRefusedError",
    "GeminiUnavailableError",
    "QuotaLimits",
    "Video",
    "VideoUnusableError",
]
