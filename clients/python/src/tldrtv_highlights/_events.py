"""Server-sent events, as bytes and as what they say.

Lines end at a line feed and nowhere else: text may hold other characters that some take for one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from tldrtv_highlights.errors import error_in
from tldrtv_highlights.models import StreamEvent, TenantEvent

E = TypeVar("E", bound=StreamEvent | TenantEvent)

END = "end"
"""The type of a stream's last event."""

ERROR = "error"
"""The type of an event that says why the API sends no more; its data is a problem document."""


class EventParser(Generic[E]):
    """Takes the bytes of an answer as they come and yields events as they are whole."""

    def __init__(self, read: Callable[[dict[str, str]], E]) -> None:
        self._read = read
        self._rest = b""
        self._fields: dict[str, str] = {}

    def feed(self, chunk: bytes) -> Iterator[E]:
        """Yield the events that a chunk completes.

        Raises:
            ApiError: the API sends no more events, as when the key was revoked.
            ValueError: the bytes are no events of the API.
        """
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            text = line.rstrip(b"\r").decode()
            if text:
                self._add(text)
            elif "data" in self._fields:
                yield self._event()
                self._fields = {}

    def _add(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data" and "data" in self._fields:
            value = f"{self._fields['data']}\n{value}"
        self._fields[name] = value

    def _event(self) -> E:
        if self._fields.get("event") == ERROR:
            data = json.loads(self._fields["data"])
            if not isinstance(data, dict):
                raise ValueError("an error without a problem document")
            raise error_in(data)
        return self._read(self._fields)


def stream_event(fields: dict[str, str]) -> StreamEvent:
    """Return an event of a stream; `fields` are its lines."""
    kind, data = fields.get("event", "message"), json.loads(fields["data"])
    known: dict[str, Any] = {
        "highlight": {"highlight": data},
        "stream": {"stream": data},
        END: data,
    }
    return StreamEvent.model_validate({"type": kind, "id": fields.get("id"), **known.get(kind, {})})


def tenant_event(fields: dict[str, str]) -> TenantEvent:
    """Return an event of a tenant; `fields` are its lines."""
    return TenantEvent(
        id=fields.get("id"), type=fields.get("event", "message"), body=fields["data"]
    )
