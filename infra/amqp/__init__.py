"""The door to the message broker: events out, jobs in.

Each side is a piece of work on a channel that `stay_connected` begins anew whenever the broker was
away. Nothing is kept in memory meanwhile: what is not yet published lies in the outbox, what is
not yet acknowledged lies with the broker.
"""

from infra.amqp.consumer import (
    JobConsumer,
    JobDelayedError,
    JobHandler,
    JobRefusedError,
    stay_connected,
)
from infra.amqp.relay import EventRelay

__all__ = [
    "EventRelay",
    "JobConsumer",
    "JobDelayedError",
    "JobHandler",
    "JobRefusedError",
    "stay_connected",
]
