"""Tokens and dollars of the calls: at least what a real answer is expected to take."""

from __future__ import annotations

from collections import Counter

from domain.analysis.gemini.pricing import TokenUsage
from domain.analysis.gemini.query import GeminiAnswer, GeminiQuery, QueryStep
from infra.gemini import GeminiClient, GeminiOptions, Video


class Bill:
    """The calls that were made.

    Attributes:
        calls: number of calls, by kind of query.
        usage: their tokens, by kind of query.
        shown: seconds of video sent for detection, including the lead-in of each chunk.
    """

    def __init__(self) -> None:
        self.calls: Counter[QueryStep] = Counter()
        self.usage: dict[QueryStep, TokenUsage] = {}
        self.shown = 0.0

    def record(self, ask: GeminiQuery, usage: TokenUsage) -> None:
        """Add a call."""
        self.calls[ask.step] += 1
        self.usage[ask.step] = self.usage.get(ask.step, TokenUsage()).plus(usage)
        if ask.step is QueryStep.DETECT:
            self.shown += ask.excerpt.seconds

    def plus(self, other: Bill) -> Bill:
        """Return both as one."""
        both = Bill()
        both.calls = self.calls + other.calls
        both.usage = {
            step: self.usage.get(step, TokenUsage()).plus(other.usage.get(step, TokenUsage()))
            for step in both.calls
        }
        both.shown = self.shown + other.shown
        return both


class BilledClient(GeminiClient):
    """The real client; its calls are added to a bill at real prices.

    The fake's answers are short and its prompts are counted without the system instruction, so a
    call counts its own tokens or those that the product expects, whichever is more.
    """

    def __init__(self, api_key: str, options: GeminiOptions) -> None:
        super().__init__(api_key, options)
        self.bill = Bill()

    async def ask(self, ask: GeminiQuery, video: Video) -> GeminiAnswer:
        """Send a query and add its cost."""
        answer = await super().ask(ask, video)
        expected = ask.expected_usage()
        usage = TokenUsage(
            text=max(answer.usage.text, expected.text),
            audio=max(answer.usage.audio, expected.audio),
            output=max(answer.usage.output, expected.output),
        )
        self.bill.record(ask, usage)
        return answer.model_copy(update={"usage": usage})
