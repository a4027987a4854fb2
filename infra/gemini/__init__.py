"""Gemini adapter: client, errors, shared quota, and video files of chunks."""

from __future__ import annotations

from domain.analysis.gemini.budget import QuotaLimits
from infra.gemini.client import (
    GeminiAccessError,
    GeminiBusyError,
    GeminiClient,
    GeminiError,
    GeminiModelError,
    GeminiOptions,
    GeminiRefusedError,
    GeminiUnavailableError,
    Video,
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
