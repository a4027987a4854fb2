"""Large documents are sent compressed to those who can read it; media never are."""

from __future__ import annotations

from pathlib import Path

from infra.db.engine import Database
from tests.factories.rows import clip_record, new_clip, new_highlight, new_stream
from tests.integration.api.conftest import Account

GZIP = {"Accept-Encoding": "gzip"}


async def test_a_large_list_is_compressed_on_request(account: Account) -> None:
    packed = await account.http.get("/v1/profiles", headers=GZIP)
    plain = await account.http.get("/v1/profiles", headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert "Content-Encoding" not in plain.headers
    assert int(packed.headers["Content-Length"]) < int(plain.headers["Content-Length"])
    assert packed.json() == plain.json()
    assert packed.headers["ETag"] == plain.headers["ETag"]


async def test_a_small_answer_is_sent_as_it_is(account: Account) -> None:
    assert "Content-Encoding" not in (await account.http.get("/v1/streams", headers=GZIP)).headers


async def test_a_clip_is_sent_as_it_is(
    account: Account, database: Database, clip_root: Path
) -> None:
    stream = await new_stream(database, account.tenant_id)
    highlight = await new_highlight(database, account.tenant_id, stream)
    clip = await new_clip(database, account.tenant_id, stream, highlight)
    rendered = clip_record(account.tenant_id, stream, highlight).rendered
    assert rendered is not None
    file = clip_root / rendered.key
    file.parent.mkdir(parents=True)
    file.write_bytes(b"v" * 4096)
    url = (await account.http.get(f"/v1/clips/{clip}")).json()["url"]
    response = await account.http.get(url, headers=GZIP)
    assert (response.status_code, len(response.content)) == (200, 4096)
    assert "Content-Encoding" not in response.headers
