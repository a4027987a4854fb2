"""Signatures are those that the Standard Webhooks library verifies."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from infra.webhooks.sender import headers, new_secret

BODY = '{"type":"clip.ready","title":"Tor für Köln"}'


def signed(*secrets: str) -> dict[str, str]:
    return headers(BODY, message_id=uuid4(), timestamp=datetime.now(UTC), secrets=secrets)


def test_a_secret_has_the_length_that_the_specification_asks_for() -> None:
    secret = new_secret()
    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64
    assert secret != new_secret()


def test_the_receiver_verifies_what_we_sign() -> None:
    secret = new_secret()
    assert Webhook(secret).verify(BODY, signed(secret))["title"] == "Tor für Köln"


def test_during_a_rotation_either_secret_verifies() -> None:
    new, old = new_secret(), new_secret()
    for secret in (new, old):
        Webhook(secret).verify(BODY, signed(new, old))


def test_a_changed_body_or_another_secret_does_not_verify() -> None:
    secret = new_secret()
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + " ", signed(secret))
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, signed(secret))
