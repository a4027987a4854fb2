"""What a delivery workflow has to do, in order."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from domain.delivery import AttemptOutcome, DeliveryEntry, DeliveryOrder, DeliveryResult


class DeliveryQueue:
    """Deliveries by their events' order: only the first is ever attempted.

    Args:
        entries: what an earlier run has left.
        result: what it has finished.
    """

    def __init__(
        self, entries: Iterable[DeliveryEntry] = (), result: DeliveryResult | None = None
    ) -> None:
        self._entries = {entry.delivery_id: entry for entry in entries}
        self._under_way: UUID | None = None
        self._asked_again = False
        self.result = result or DeliveryResult()

    def __bool__(self) -> bool:
        return bool(self._entries)

    @property
    def first(self) -> DeliveryEntry:
        """What is to be delivered before all others."""
        return min(self._entries.values(), key=lambda each: (each.position, each.delivery_id))

    def entries(self) -> tuple[DeliveryEntry, ...]:
        """Return all that is left, for the next run."""
        return tuple(self._entries.values())

    def report(self) -> str:
        """Return where the deliveries are, in Markdown."""
        counts = self.result.model_dump()
        done = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        lines = [f"**{len(self._entries)} waiting**" + (f", {done}" if done else "")]
        if self._entries and self.first.attempt:
            due = f"{self.first.due:%Y-%m-%d %H:%M:%S} UTC" if self.first.due else "now"
            lines.append(f"attempt {self.first.attempt + 1} of the first is due {due}")
        return "\n\n".join(lines)

    def enter(self, order: DeliveryOrder) -> None:
        """Add a delivery; of one that is there only the wait can be cut short.

        Should it be under way, nobody knows whether the order was given before or after it was
        done: it will be looked at once more.
        """
        entry = self._entries.get(order.delivery_id)
        if entry is None:
            self._entries[order.delivery_id] = DeliveryEntry(
                delivery_id=order.delivery_id, position=order.position
            )
        elif order.delivery_id == self._under_way:
            self._asked_again = True
        elif order.at_once:
            scheduled = entry.scheduled or entry.due
            self._entries[order.delivery_id] = entry.model_copy(
                update={"due": None, "scheduled": scheduled}
            )

    def begin(self) -> DeliveryEntry:
        """Take the first for an attempt."""
        entry = self.first
        self._under_way, self._asked_again = entry.delivery_id, False
        return entry

    def conclude(
        self,
        outcome: AttemptOutcome,
        *,
        began: datetime,
        next_attempt_at: datetime | None,
        extra: bool = False,
    ) -> None:
        """Record the outcome of the attempt; a failed one is made again if another is due.

        `extra` says that the attempt was made before its time, so that it still is to come.
        """
        assert self._under_way is not None, "begin first"  # noqa: S101
        entry = self._entries.pop(self._under_way)
        if outcome is AttemptOutcome.FAILED and next_attempt_at is not None:
            number = entry.attempt if extra else entry.attempt + 1
            self._entries[entry.delivery_id] = entry.model_copy(
                update={
                    "attempt": number,
                    "began": began,
                    "due": next_attempt_at,
                    "scheduled": None,
                }
            )
        else:
            name = outcome.value
            finished = {name: getattr(self.result, name) + 1}
            self.result = self.result.model_copy(update=finished)
            if self._asked_again:
                self.enter(DeliveryOrder(delivery_id=entry.delivery_id, position=entry.position))
        self._under_way = None
