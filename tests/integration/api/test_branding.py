"""Default branding: in exports and batches unless their request says otherwise, for its tenant."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID

import pytest

from api.exports.branding import MAX_BODY_BYTES
from domain.exports.batches import BatchRef, NextExportsInput
from domain.exports.models import ExportSpec
from infra.db.engine import Database
from infra.db.repositories import exports
from tests.factories.cards import card
from tests.factories.rows import new_clip, new_highlight, new_stream
from tests.integration.api.conftest import Account
from tests.integration.api.problems import assert_problem

BRANDING: dict[str, Any] = {
    "watermark": {"text": "\u05e9\u05dc\u05d5\u05dd \N{TROPHY}", "opacity": 0.5},
    "lower_third": {"seconds": 4},
    "caption_style": {"position": "top", "color": "#FFE000"},
}
MP4 = [{"format": "mp4"}]


CARDS: dict[str, Any] = {
    "intro": card("red"),
    "outro": card("blue"),
    "end_card": {
        "default": card("gray"),
        "territories": {"DE": card("yellow"), "GB": card("white")},
    },
}


async def highlight(account: Account, database: Database) -> UUID:
    """A highlight whose clip is ready."""
    stream = await new_stream(database, account.tenant_id)
    found = await new_highlight(database, account.tenant_id, stream, title="Goal")
    await new_clip(database, account.tenant_id, stream, found)
    return found


async def exported(
    account: Account, database: Database, source: dict[str, Any], **asked: object
) -> ExportSpec:
    """What an export is to make, whose workflow no worker runs."""
    body = {"source": source, "renditions": MP4, **asked}
    response = await account.http.post("/v1/exports", json=body)
    assert response.status_code == 201, response.text
    export = UUID(response.json()["id"])
    async with database.session(account.tenant_id) as session:
        row = await exports.get(session, tenant_id=account.tenant_id, export_id=export)
    assert row is not None
    assert response.json()["branding_version"] == exports.spec_of(row).branding_version
    await account.http.post(f"/v1/exports/{export}/cancel")
    return exports.spec_of(row)


async def test_branding_is_read_replaced_and_deleted_with_rising_versions(
    account: Account,
) -> None:
    http = account.http
    assert (await http.get("/v1/branding")).json() == {
        "version": 0,
        "watermark": None,
        "lower_third": None,
        "caption_style": None,
        "intro": None,
        "outro": None,
        "end_card": None,
        "updated_at": None,
    }
    put = (await http.put("/v1/branding", json=BRANDING)).json()
    assert put["version"] == 1
    assert put["watermark"]["text"] == BRANDING["watermark"]["text"]
    assert (await http.get("/v1/branding")).json() == put
    only = (await http.put("/v1/branding", json={"caption_style": {"position": "top"}})).json()
    assert (only["version"], only["watermark"]) == (2, None)
    assert (await http.delete("/v1/branding")).status_code == 204
    assert (await http.delete("/v1/branding")).status_code == 204
    empty = (await http.get("/v1/branding")).json()
    assert (empty["version"], empty["caption_style"]) == (3, None)
    entries = (await http.get("/v1/audit?target_kind=branding")).json()["data"]
    assert [(each["action"], each["details"]) for each in entries] == [
        ("branding.deleted", {"version": 3}),
        ("branding.put", {"version": 2}),
        ("branding.put", {"version": 1}),
    ]


async def test_an_export_keeps_the_branding_that_it_was_asked_for_with(
    account: Account, other_account: Account, database: Database
) -> None:
    await account.http.put("/v1/branding", json=BRANDING)
    source = {"highlight_id": str(await highlight(account, database))}
    branded = await exported(account, database, source)
    await account.http.put("/v1/branding", json={"watermark": {"text": "new"}})
    assert branded.watermark is not None
    assert branded.lower_third is not None
    assert branded.caption_style is not None
    assert (branded.branding_version, branded.watermark.opacity) == (1, 0.5)
    # Its title is the highlight's.
    assert branded.lower_third.title == "Goal"
    assert branded.caption_style.color == "#FFE000"
    later = await exported(account, database, source)
    assert later.watermark is not None
    assert (later.branding_version, later.watermark.text) == (2, "new")
    theirs = {"highlight_id": str(await highlight(other_account, database))}
    assert (await exported(other_account, database, theirs)).watermark is None


async def test_a_request_replaces_a_part_of_the_branding_or_leaves_it_out(
    account: Account, database: Database
) -> None:
    await account.http.put("/v1/branding", json=BRANDING)
    source = {"highlight_id": str(await highlight(account, database))}
    own = await exported(account, database, source, watermark={"text": "own"})
    assert own.watermark is not None
    assert own.lower_third is not None
    assert (own.watermark.text, own.lower_third.seconds) == ("own", 4)
    plain = await exported(account, database, source, branding="none")
    assert (plain.watermark, plain.lower_third, plain.caption_style) == (None, None, None)
    assert plain.branding_version is None


async def test_a_span_of_a_stream_has_no_lower_third_without_a_title(
    account: Account, database: Database
) -> None:
    await account.http.put("/v1/branding", json=BRANDING)
    stream = await new_stream(database, account.tenant_id)
    span = await exported(account, database, {"stream_id": str(stream), "from": 0, "to": 5})
    assert span.watermark is not None
    assert span.lower_third is None


async def test_every_export_of_a_batch_has_the_lower_third_of_its_highlight(
    account: Account, database: Database
) -> None:
    await account.http.put("/v1/branding", json=BRANDING)
    ids = [str(await highlight(account, database)) for _ in range(2)]
    body = {"highlight_ids": ids, "renditions": MP4, "lower_third": {"score": "2-1"}}
    response = await account.http.post("/v1/export-batches", json=body)
    assert response.status_code == 201, response.text
    batch = UUID(response.json()["id"])
    async with database.session(account.tenant_id) as session:
        rows = await exports.exports_of_batch(session, tenant_id=account.tenant_id, batch_id=batch)
    specs = [exports.spec_of(row) for row in rows]
    assert [each.branding_version for each in specs] == [1, 1]
    for spec in specs:
        assert spec.watermark is not None
        assert spec.lower_third is not None
        assert (spec.lower_third.title, spec.lower_third.score) == ("Goal", "2-1")


@pytest.mark.parametrize(
    ("branding", "pointer"),
    [
        ({"watermark": {"text": "a", "image": "b"}}, "/watermark"),
        ({"caption_style": {"color": "red"}}, "/caption_style/color"),
        ({"lower_third": {"title": "a\nb"}}, "/lower_third/title"),
        ({"intro": "x"}, "/intro"),
        ({"video": "x"}, "/video"),
        ({"intro": {"image": "%%%"}}, "/intro/image"),
        ({"outro": {"image": base64.b64encode(b"GIF89a").decode()}}, "/outro/image"),
        ({"outro": card("red", 0.4)}, "/outro/seconds"),
        ({"outro": card("red", 10.5)}, "/outro/seconds"),
        ({"outro": card("red") | {"background": "red"}}, "/outro/background"),
        ({"end_card": {}}, "/end_card"),
        ({"end_card": {"default": {"image": "A" * 87_385}}}, "/end_card/default/image"),
    ],
)
async def test_branding_that_cannot_be_drawn_is_refused(
    account: Account, branding: dict[str, Any], pointer: str
) -> None:
    response = await account.http.put("/v1/branding", json=branding)
    assert_problem(response, 422, "invalid_request")
    assert response.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("code", ["UK", "de", "XX", "DEU"])
async def test_a_territory_that_does_not_exist_is_refused(account: Account, code: str) -> None:
    body = {"end_card": {"territories": {code: card("red")}}}
    response = await account.http.put("/v1/branding", json=body)
    assert_problem(response, 422, "invalid_request")
    assert response.json()["errors"][0]["pointer"].startswith("/end_card/territories")
    asked = {"source": {}, "renditions": MP4, "territory": code}
    response = await account.http.post("/v1/exports", json=asked)
    assert "/territory" in [each["pointer"] for each in response.json()["errors"]]


async def test_an_export_shows_the_end_card_of_its_territory(
    account: Account, database: Database
) -> None:
    put = await account.http.put("/v1/branding", json=CARDS)
    assert put.status_code == 200, put.text
    assert put.json()["end_card"]["territories"]["GB"]["seconds"] == 2.0
    source = {"highlight_id": str(await highlight(account, database))}

    async def shown(**asked: object) -> list[str | None]:
        spec = await exported(account, database, source, **asked)
        assert spec.territory == asked.get("territory")
        cards = (spec.intro, spec.outro, spec.end_card)
        return [None if each is None else each.image for each in cards]

    intro, outro = CARDS["intro"]["image"], CARDS["outro"]["image"]
    named = CARDS["end_card"]["territories"]
    default = CARDS["end_card"]["default"]["image"]
    assert await shown() == [intro, outro, default]
    assert await shown(territory="DE") == [intro, outro, named["DE"]["image"]]
    assert await shown(territory="FR") == [intro, outro, default]
    assert await shown(branding="none", territory="DE") == [None, None, None]
    only = {"territories": {"FR": card("green")}}
    assert await shown(territory="DE", end_card=only, intro=card("green")) == [
        *(card("green")["image"], outro),
        None,
    ]


async def test_a_response_says_which_renditions_have_cards(
    account: Account, database: Database
) -> None:
    source = {"highlight_id": str(await highlight(account, database))}
    formats = [{"format": each} for each in ("mp4", "gif", "captions", "audio")]
    body = {
        "source": source,
        "renditions": [*formats, {"format": "webm", "cards": False}],
        "intro": card("red"),
    }
    found = (await account.http.post("/v1/exports", json=body)).json()
    assert [each["cards"] for each in found["renditions"]] == [True, False, True, False, False]
    await account.http.post(f"/v1/exports/{found['id']}/cancel")


async def test_pictures_of_usual_size_fit_into_a_request_and_its_batch_into_payloads(
    account: Account, database: Database
) -> None:
    noise = base64.b64decode(card("red")["image"]) + bytes(65_000)
    large = {"image": base64.b64encode(noise).decode()}
    body = {"intro": large, "outro": large, "end_card": {"default": large}}
    assert (await account.http.put("/v1/branding", json=body)).status_code == 200
    ids = [str(await highlight(account, database)) for _ in range(6)]
    asked = {"highlight_ids": ids, "renditions": MP4}
    response = await account.http.post("/v1/export-batches", json=asked)
    assert response.status_code == 201, response.text
    batch = BatchRef(tenant_id=account.tenant_id, batch_id=UUID(response.json()["id"]))
    pages: list[list[int]] = [[0]]
    async with database.session(account.tenant_id) as session:
        while pages[-1]:
            request = NextExportsInput(batch=batch, after=pages[-1][-1], limit=16)
            found = await exports.next_exports(session, request)
            # A payload of Temporal may have 2 MB.
            assert len(found.model_dump_json()) < 1_100_000
            pages.append([each.number for each in found.items])
    assert len(pages) == 4
    assert [number for page in pages for number in page] == list(range(7))
    too_large = {"intro": large | {"image": "A" * MAX_BODY_BYTES}}
    response = await account.http.put("/v1/branding", json=too_large)
    assert_problem(response, 413, "body_too_large")
