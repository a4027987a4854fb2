"""RabbitMQ: lifecycle events out (`EventRelay`), jobs in (`JobConsumer`).

Both work on a channel of `stay_connected`, which opens a new connection after each failure. Nothing
is kept in memory meanwhile: unpublished events stay in the outbox, unacknowledged jobs with the
broker.
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
