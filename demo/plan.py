"""The steps of a demo in order, which it prints before it begins."""

from __future__ import annotations

from demo.model import Model
from demo.truth import clock


class DemoPlan(Model):
    """The steps of one run.

    Attributes:
        source: what is played, such as `the scripted soccer match`.
        seconds: its length.
        pace: seconds of it per second.
        missing: what makes it first, None if it is there.
        starts_stack: False if it is played to an API that runs already.
        has_truth: True if there is a truth to compare with.
        keep: leave everything running at the end.
    """

    source: str
    seconds: float
    pace: float
    missing: str | None
    starts_stack: bool
    has_truth: bool
    keep: bool

    def lines(self) -> list[str]:
        """Return one line for each step."""
        steps = []
        if self.starts_stack:
            steps.append("start PostgreSQL, Temporal, the worker and the API")
        if self.missing is not None:
            steps.append(f"{self.missing}, once; the next run uses it again")
        steps.append(
            f"play {self.source}, {clock(self.seconds)} at {self.pace:g}x: "
            f"{self.seconds / self.pace:.0f} s. A clip appears seconds after its moment"
        )
        compare = "compare what was found with the truth, and " if self.has_truth else ""
        steps.append(f"{compare}play every clip once to check it")
        if self.starts_stack:
            steps.append(
                "leave everything running until Ctrl-C" if self.keep else "stop everything"
            )
        return [f"  {number}. {step}" for number, step in enumerate(steps, start=1)]
