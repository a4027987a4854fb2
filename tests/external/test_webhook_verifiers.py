"""A real delivery of ours is verified by the Standard Webhooks libraries of other languages."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from infra.ssrf import UrlGuard
from infra.webhooks.sender import WebhookSender, headers, new_secret
from tests.external.conftest import program, run
from tests.fakes.webhook_receiver import Received, receiver

Verify = Callable[[str, Received, str], bool]
BODY = json.dumps({"type": "clip.ready", "data": {"title": "Tor für Köln ⚽ 1:0"}})


@pytest.fixture(scope="session")
def verifier(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Verify:
    """Asks the library of a language whether a delivery is ours."""
    go_binary = tmp_path_factory.mktemp("verify") / "verify"

    def command(language: str) -> list[object]:
        if language == "javascript":
            return [program("node"), tools / "verify.mjs"]
        if not go_binary.exists():
            settings = [f"GOMODCACHE={tools / 'go'}", "GOFLAGS=-mod=mod -modcacherw"]
            build = ["env", *settings, program("go"), "build", "-o", go_binary, "."]
            built = run(build, cwd=tools)
            assert built.returncode == 0, built.stderr
        return [go_binary]

    def verify(language: str, delivery: Received, secret: str) -> bool:
        document = {"secret": secret, "headers": delivery.headers, "body": delivery.body}
        answered = run(command(language), text=json.dumps(document))
        assert answered.stdout.strip() == ("verified" if answered.returncode == 0 else "")
        return answered.returncode == 0

    return verify


async def deliver(*secrets: str) -> Received:
    """Send one event by the product's sender; return what a real server received."""
    signed = headers(BODY, message_id=uuid4(), timestamp=datetime.now(UTC), secrets=secrets)
    async with (
        receiver() as hook,
        WebhookSender(UrlGuard(allow_private=True), timeout=30.0, max_connections=1) as sender,
    ):
        answer = await sender.send(hook.url, BODY, signed)
        assert answer.succeeded
        (received,) = await hook.until(1)
    return received


@pytest.mark.parametrize("language", ["javascript", "go"])
async def test_a_delivery_is_verified_and_a_forged_one_refused(
    verifier: Verify, language: str
) -> None:
    secret, former = new_secret(), new_secret()
    delivery = await deliver(secret, former)
    assert verifier(language, delivery, secret)
    assert verifier(language, delivery, former), "both secrets sign while one replaces the other"
    assert not verifier(language, delivery, new_secret())
    forged = Received(headers=delivery.headers, body=delivery.body.replace("1:0", "0:1"))
    assert not verifier(language, forged, secret)
