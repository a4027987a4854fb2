"""Gemini adapter: client, errors, shared quota, and video files of chunks."""

from __future__ import annotations

from domain.analysis.gemini.quota import QuotaLimits
from infra.gemini.client import GeminiClient, GeminiOptions, Video
from infra.gemini.errors import (
    GeminiAccessError,
    GeminiBusyError,
    GeminiError,
    GeminiModelError,
    GeminiRefusedError,
    GeminiUnavailableError,
    VideoUnusableError,
)
from infra.gemini.quota import GeminiQuota

__all__ = [
    "GeminiAccessError",
    "GeminiBusyError",
    "GeminiClient",
    "GeminiError",
    "GeminiModelError",
    "GeminiOptions",
    "GeminiQuota",
    "GeminiRefusedError",
    "GeminiUnavailableError",
    "QuotaLimits",
    "Video",
    "VideoUnusableError",
]
