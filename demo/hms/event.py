"""Events as 100ms writes them (webhooks, version 2.0)."""

from __future__ import annotations

import json
import secrets
import time
from datetime import datetime
from typing import Any
from uuid import uuid4

from demo.model import Model


class Workspace(Model):
    """The 100ms account that events come from."""

    account_id: str
    app_id: str
    template_id: str


class Event(Model):
    """One event; `body` is the exact text that is sent, at every attempt."""

    id: str
    type: str
    room_id: str
    at: datetime
    body: str

    def replayed(self) -> Event:
        """Return the event as the replay API sends it: the same id, and a flag that says so."""
        body = json.dumps({**json.loads(self.body), "is_replay": True})
        return self.model_copy(update={"body": body})


def make_event(kind: str, data: dict[str, Any], *, workspace: Workspace, at: datetime) -> Event:
    """Wrap `data` into the envelope; `at` (UTC) is told in whole seconds, as 100ms does."""
    identity = str(uuid4())
    envelope = {
        "version": "2.0",
        "id": identity,
        "account_id": workspace.account_id,
        "app_id": workspace.app_id,
        "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}Z",
        "type": kind,
        "data": data,
    }
    return Event(id=identity, type=kind, room_id=data["room_id"], at=at, body=json.dumps(envelope))


def metadata(at: datetime) -> dict[str, Any]:
    """Return what every event of a beam says of itself."""
    return {"metadata_id": str(uuid4()), "metadata_timestamp": nanoseconds(at)}


def object_id() -> str:
    """Make an id in 100ms's form: 24 hexadecimal digits, of which the first eight are the time."""
    return f"{int(time.time()):08x}{secrets.token_hex(8)}"


def nanoseconds(at: datetime) -> str:
    """Write a time (UTC) with nanoseconds, which is what most of 100ms's times have."""
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}{secrets.randbelow(1000):03d}Z"


def whole_seconds(since: datetime, until: datetime) -> int:
    """Return a duration as 100ms tells it, in whole seconds."""
    return int((until - since).total_seconds())
