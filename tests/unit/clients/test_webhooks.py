"""What a receiver of webhooks believes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from tldrtv_highlights.webhooks import WebhookVerificationError, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"type": "clip.ready", "timestamp": "2026-05-02T19:05:31Z", "data": {"clip_id": "c"}}'


def headers(*, secret: str = SECRET, at: datetime | None = None) -> dict[str, str]:
    at = at or datetime.now(UTC)
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("msg_1", at, BODY.decode()),
    }


def test_what_we_have_signed_is_an_event() -> None:
    event = verify(BODY, headers(), secret=SECRET)
    assert (event.id, event.type, event.data) == ("msg_1", "clip.ready", {"clip_id": "c"})


def test_what_was_changed_is_refused() -> None:
    with pytest.raises(WebhookVerificationError):
        verify(BODY.replace(b'"c"', b'"d"'), headers(), secret=SECRET)


def test_what_another_has_signed_is_refused() -> None:
    with pytest.raises(WebhookVerificationError):
        verify(BODY, headers(secret="whsec_" + "A" * 32), secret=SECRET)


def test_what_is_old_is_refused() -> None:
    with pytest.raises(WebhookVerificationError):
        verify(BODY, headers(at=datetime.now(UTC) - timedelta(minutes=6)), secret=SECRET)


def test_what_is_not_signed_is_refused() -> None:
    with pytest.raises(WebhookVerificationError):
        verify(BODY, {}, secret=SECRET)
