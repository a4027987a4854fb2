"""Highlights that look and read like another, over the API."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.clips.models import ClipStatus
from domain.highlights.selection import DecisionStatus
from infra.db.engine import Database
from tests.factories.rows import PICTURE, new_clip, new_highlight, new_stream
from tests.integration.api.conftest import Account

NEAR = f"{int(PICTURE, 16) ^ 0b111:016x}"
FARTHER = f"{int(PICTURE, 16) ^ 0x0003_0003_0003_0007:016x}"  # 9 bits
FAR = f"{int(PICTURE, 16) ^ (2**64 - 1):016x}"


@pytest.fixture
async def stream(account: Account, database: Database) -> UUID:
    return await new_stream(database, account.tenant_id)


class Maker:
    """Makes highlights of a stream, a minute apart."""

    def __init__(self, database: Database, tenant: UUID, stream: UUID) -> None:
        self._database, self._tenant, self._stream = database, tenant, stream
        self._made = 0

    async def make(
        self,
        title: str,
        picture: str | None,
        *,
        tags: tuple[str, ...] = ("goal",),
        status: DecisionStatus = DecisionStatus.CONFIRMED,
        clip: ClipStatus = ClipStatus.READY,
    ) -> UUID:
        self._made += 1
        made = await new_highlight(
            self._database,
            self._tenant,
            self._stream,
            peak=60.0 * self._made,
            title=title,
            description="",
            tags=tags,
            status=status,
        )
        await new_clip(
            self._database, self._tenant, self._stream, made, status=clip, picture=picture
        )
        return made


@pytest.fixture
def maker(database: Database, account: Account, stream: UUID) -> Maker:
    return Maker(database, account.tenant_id, stream)


async def similar(account: Account, highlight: UUID, **params: object) -> list[Any]:
    response = await account.http.get(
        f"/v1/highlights/{highlight}/similar",
        params={key: str(value) for key, value in params.items()},
    )
    assert response.status_code == 200, response.text
    found: list[Any] = response.json()["data"]
    return found


async def test_the_same_picture_is_found_the_nearest_first(account: Account, maker: Maker) -> None:
    about = await maker.make("One", PICTURE)
    farther = await maker.make("Two", FARTHER)
    near = await maker.make("Three", NEAR)
    await maker.make("Four", FAR)
    found = await similar(account, about)
    assert [each["highlight"]["id"] for each in found] == [str(near), str(farther)]
    assert [each["picture_distance"] for each in found] == [3, 9]
    assert [each["near_duplicate"] for each in found] == [True, False]
    assert found[0]["signs"] == [
        "their pictures differ by 3 bits of 64",
        "their tags agree to 100%",
    ]
    assert found[0]["highlight"]["clip"]["status"] == "ready"


async def test_the_words_of_the_title_are_found_without_a_picture(
    account: Account, maker: Maker
) -> None:
    about = await maker.make("Late winner", None)
    other = await maker.make("A late winner by five", FAR)
    await maker.make("Late save", None)
    (found,) = await similar(account, about)
    assert (found["highlight"]["id"], found["picture_distance"]) == (str(other), None)
    assert 0 < found["similarity"] < 1


async def test_nothing_resembles_what_says_and_shows_nothing(
    account: Account, maker: Maker
) -> None:
    about = await maker.make("", None)
    await maker.make("", PICTURE)
    assert await similar(account, about) == []


async def test_the_hidden_and_what_has_no_clip_yet_are_left_out(
    account: Account, maker: Maker
) -> None:
    about = await maker.make("One", PICTURE)
    await maker.make("Two", PICTURE, status=DecisionStatus.REJECTED)
    await maker.make("Three", PICTURE, clip=ClipStatus.RENDERING)
    assert await similar(account, about) == []


async def test_the_limit_is_respected(account: Account, maker: Maker) -> None:
    about = await maker.make("One", PICTURE)
    for _ in range(3):
        await maker.make("Another", PICTURE)
    assert len(await similar(account, about, limit=2)) == 2
    assert len(await similar(account, about)) == 3


async def test_another_tenants_pictures_resemble_nothing(
    account: Account, other_account: Account, database: Database, maker: Maker
) -> None:
    about = await maker.make("One", PICTURE)
    theirs = await new_stream(database, other_account.tenant_id)
    await Maker(database, other_account.tenant_id, theirs).make("One", PICTURE)
    assert await similar(account, about) == []


async def test_an_unknown_highlight_is_not_found(account: Account) -> None:
    response = await account.http.get(f"/v1/highlights/{uuid4()}/similar")
    assert (response.status_code, response.json()["code"]) == (404, "highlight_not_found")
