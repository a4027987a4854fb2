"""Answers to requests about several things at once."""

from __future__ import annotations

from tldrtv_highlights.models.base import Model
from tldrtv_highlights.models.highlights import Highlight
from tldrtv_highlights.models.streams import Stream


class ItemProblem(Model):
    """Why there is no answer for one id."""

    code: str
    status: int
    detail: str


class HighlightResult(Model):
    """A highlight, or why there is none."""

    id: str
    highlight: Highlight | None = None
    problem: ItemProblem | None = None


class HighlightResults(Model):
    """A result for each id, in the order of the request."""

    data: tuple[HighlightResult, ...]


class StreamResult(Model):
    """A stream as it is now, or why it could not be stopped."""

    id: str
    stream: Stream | None = None
    problem: ItemProblem | None = None


class StreamResults(Model):
    """A result for each id, in the order of the request."""

    data: tuple[StreamResult, ...]
