"""A stand-in for the Gemini API that speaks its REST protocol (v1beta) over real HTTP.

It is as strict as the documents say, watches the very bytes it is sent, and answers from what it
sees and hears there: a wrong offset or a truncated upload gives a wrong highlight, or none.
"""

from __future__ import annotations

from tests.fakes.gemini.faults import Fault, On
from tests.fakes.gemini.server import KEY, FakeGemini

__all__ = ["KEY", "FakeGemini", "Fault", "On"]
