"""What tenants are told about events is what they are sent."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from api.openapi.document import EventMessage
from app.serve import build_app
from domain.clips.models import ClipStatus
from domain.webhooks.delivery import JITTER, OFFSETS
from domain.webhooks.events import MEANINGS, PAYLOADS, ClipPayload, EventType, UsagePayload, event
from infra.settings import Settings
from infra.storage.signed_urls import ClipLinks, UrlSigner
from infra.webhooks.sender import headers, message_of, new_secret

PAGE = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()
LINKS = ClipLinks(UrlSigner(b"s" * 32), base_url="https://api.test", lifetime=60.0)
CLIP = ClipPayload(
    clip_id=uuid4(),
    highlight_id=uuid4(),
    stream_id=uuid4(),
    status=ClipStatus.READY,
    title="Tor",
    score=0.8,
    tags=("goal",),
    peak=60.0,
    start=55.0,
    duration=10.0,
    size=1000,
    width=1280,
    height=720,
    has_audio=True,
    sha256="ab",
    url="/v1/clips/1/download",
    thumbnail_url=None,
    message="",
    ready_at=None,
)


def message(kind: EventType, payload: Any) -> str:  # noqa: ANN401 - any payload
    told = event(
        kind,
        payload,
        tenant_id=uuid4(),
        subject="x",
        revision=1,
        created_at=datetime(2026, 11, 24, tzinfo=UTC),
    )
    return message_of(told, LINKS)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    settings = Settings(
        database_url=SecretStr("postgresql://nobody@localhost/none"),
        signing_secret=SecretStr("s" * 32),
    )
    return build_app(settings).openapi()


def test_a_message_is_as_documented() -> None:
    body = message(EventType.CLIP_READY, CLIP)
    read = EventMessage[ClipPayload].model_validate_json(body)
    assert (read.type, read.data.clip_id) == (EventType.CLIP_READY, CLIP.clip_id)
    assert set(json.loads(body)) == set(EventMessage.model_fields)


def test_links_to_clips_are_whole_and_signed_when_sent() -> None:
    data = json.loads(message(EventType.CLIP_READY, CLIP))["data"]
    assert data["url"].startswith("https://api.test/v1/clips/1/download?tenant=")
    assert data["thumbnail_url"] is None


def test_the_openapi_document_has_every_event(document: dict[str, Any]) -> None:
    assert set(document["webhooks"]) == set(EventType)
    for kind, item in document["webhooks"].items():
        schema = item["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        name = "".join(part.capitalize() for part in re.split(r"[._]", kind)) + "Event"
        assert schema.rpartition("/")[2] == name
        properties = document["components"]["schemas"][name]["properties"]
        assert properties["type"]["const"] == kind
        payload = properties["data"]["$ref"].rpartition("/")[2]
        assert payload.removeprefix("Webhook") == PAYLOADS[EventType(kind)].__name__


def section_of(payload: str) -> str:
    """Return the heading of a payload on the page."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", payload.removesuffix("Payload")).lower()


def test_the_page_has_every_event_with_its_meaning() -> None:
    rows = re.findall(r"^\| `([a-z._]+)` \| (.+?) \| \[([a-z_]+)\]", PAGE, re.MULTILINE)
    assert {kind: meaning for kind, meaning, _ in rows} == MEANINGS
    for kind, _, payload in rows:
        assert section_of(PAYLOADS[EventType(kind)].__name__) == payload


@pytest.mark.parametrize("payload", sorted({each.__name__ for each in PAYLOADS.values()}))
def test_the_page_has_every_field_of_each_payload(payload: str) -> None:
    (listed,) = re.findall(rf"^### {section_of(payload)}\n((?:`.+\n)+)", PAGE, re.MULTILINE)
    (model,) = {each for each in PAYLOADS.values() if each.__name__ == payload}
    assert re.findall(r"`(\w+)`", listed) == list(model.model_fields)


def test_the_page_has_the_schedule() -> None:
    units = {"s": 1, "min": 60, "h": 3600}
    (sentence,) = re.findall(r"first attempt: after (.+?), each wait", PAGE, re.DOTALL)
    waits = re.findall(r"(\d+)\s(s|min|h)\b", sentence)
    assert [int(number) * units[unit] for number, unit in waits] == list(OFFSETS[1:])
    assert JITTER == 0.1
    assert "up to a tenth of itself" in " ".join(PAGE.split())


def test_the_snippet_of_the_page_verifies_what_we_send(capsys: pytest.CaptureFixture[str]) -> None:
    (snippet,) = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(snippet, names)  # noqa: S102 - our own page
    body, secret = message(EventType.CLIP_READY, CLIP), new_secret()
    signed = headers(body, message_id=uuid4(), timestamp=datetime.now(UTC), secrets=[secret])
    assert names["receive"](body.encode(), signed, secret) == 204
    assert "Tor https://api.test" in capsys.readouterr().out
    assert names["receive"](body.encode() + b" ", signed, secret) == 400


def test_payloads_without_links_are_sent_as_they_are_stored() -> None:
    usage = UsagePayload(kind="clips", period="2026-11", percent=80, used=80.0, budget=100.0)
    data = json.loads(message(EventType.USAGE_THRESHOLD, usage))["data"]
    assert data == usage.model_dump(mode="json")
