"""Messages of the feeds, written by hand after their public formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

from domain.feed.models import FeedEvent

DATA = Path(__file__).parent / "data"


def xml_messages(name: str) -> list[Element]:
    return [fromstring(line) for line in (DATA / name).read_text().splitlines()]  # noqa: S314


def json_messages(name: str) -> list[Any]:
    return [json.loads(line) for line in (DATA / name).read_text().splitlines()]


def line(event: FeedEvent) -> str:
    """Return what an event reports, in a line."""
    parts = [event.kind.value]
    if event.market is not None:
        parts.append(f"{event.market}/{event.selection}" if event.selection else event.market)
    if event.odds is not None:
        parts.append(f"{event.odds.before:.2f}>{event.odds.after:.2f}")
    if event.result is not None:
        parts.append(event.result.value)
    if event.state is not None and event.state.home is not None:
        parts.append(f"{event.state.home}-{event.state.away}")
    if event.label is not None:
        parts.append(event.label)
    if event.retracts is not None:
        parts.append(f"retracts {event.retracts}")
    return " ".join(parts)
