"""The codec server decrypts for the Temporal UI and CLI, and refuses all others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from starlette.testclient import TestClient
from temporalio.api.common.v1 import Payload, Payloads

from app.codec_server import MAX_BODY_BYTES, build_codec_server
from infra.errors import NotConfiguredError
from infra.settings import Settings
from infra.temporal.codec import PayloadEncryption

KEYS = {"k1": "k" * 32}
TOKEN = "t" * 32
UI = "http://localhost:8233"
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"a goal"')


def client(host: str = "localhost:8234", **settings: object) -> TestClient:
    given: dict[str, Any] = {"temporal_keys": "k1:" + KEYS["k1"]} | settings
    return TestClient(build_codec_server(Settings(**given)), base_url=f"http://{host}")


def document(payload: Payload) -> dict[str, Any]:
    return MessageToDict(Payloads(payloads=[payload]))


def encrypted(keys: dict[str, str] | None = None) -> Payload:
    (payload,) = asyncio.run(PayloadEncryption(keys or KEYS).encode([PLAIN]))
    return payload


def test_what_is_encoded_is_decoded_again() -> None:
    server = client()
    encoded = server.post("/encode", json=document(PLAIN)).json()
    assert encoded["payloads"][0]["data"] != document(PLAIN)["payloads"][0]["data"]
    decoded = server.post("/decode", json=encoded)
    assert ParseDict(decoded.json(), Payloads()).payloads[0] == PLAIN


def test_the_page_of_the_ui_may_read_the_answer() -> None:
    answer = client().post("/decode", json=document(encrypted()), headers={"origin": UI})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == UI


def test_the_browser_may_ask_from_a_public_page_for_a_private_address() -> None:
    answer = client().options(
        "/decode",
        headers={
            "origin": "https://cloud.temporal.io",
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type,x-namespace,authorization",
            "access-control-request-private-network": "true",
        },
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-private-network"] == "true"


def test_another_origin_is_refused_and_told_the_setting() -> None:
    answer = client().post(
        "/decode", json=document(encrypted()), headers={"origin": "https://evil.example"}
    )
    assert answer.status_code == 403
    assert "HIGHLIGHTS_CODEC_ORIGINS" in answer.json()["message"]


def test_a_name_that_only_resolves_to_this_machine_is_refused() -> None:
    answer = client("rebound.example").post("/decode", json=document(encrypted()))
    assert answer.status_code == 400


@pytest.mark.parametrize("given", [None, "Bearer wrong", f"Basic {TOKEN}", TOKEN])
def test_without_the_token_nothing_is_decrypted(given: str | None) -> None:
    server = client("codec.example", codec_token=TOKEN, codec_address="0.0.0.0:8234")
    headers = {"authorization": given} if given else {}
    answer = server.post("/decode", json=document(encrypted()), headers=headers)
    assert answer.status_code == 401
    assert "HIGHLIGHTS_CODEC_TOKEN" in answer.json()["message"]


def test_with_the_token_another_machine_may_use_it() -> None:
    server = client("codec.example", codec_token=TOKEN, codec_address="0.0.0.0:8234")
    answer = server.post(
        "/decode", json=document(encrypted()), headers={"authorization": f"Bearer {TOKEN}"}
    )
    assert ParseDict(answer.json(), Payloads()).payloads[0] == PLAIN


def test_a_key_that_is_missing_is_named() -> None:
    answer = client().post("/decode", json=document(encrypted({"k0": "o" * 32})))
    assert answer.status_code == 422
    assert "'k0'" in answer.json()["message"]


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"\xff", b'{"payloads": [{"data": 1}]}'])
def test_what_is_no_list_of_payloads_is_refused(body: bytes) -> None:
    assert client().post("/decode", content=body).status_code == 400


def test_a_body_without_end_is_refused() -> None:
    assert client().post("/decode", content=b" " * (MAX_BODY_BYTES + 1)).status_code == 413


def test_without_keys_it_does_not_start() -> None:
    with pytest.raises(NotConfiguredError, match="HIGHLIGHTS_TEMPORAL_KEYS"):
        build_codec_server(Settings())


@pytest.mark.parametrize("address", ["0.0.0.0:8234", "codec.internal:8234", "[::]:8234"])
def test_open_to_other_machines_it_does_not_start_without_a_token(address: str) -> None:
    with pytest.raises(NotConfiguredError, match="HIGHLIGHTS_CODEC_TOKEN"):
        client(codec_address=address)
