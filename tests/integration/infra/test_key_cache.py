"""Keys are remembered for seconds, and no change of one is missed for longer."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from app.services.api_keys import (
    KEY_LIFETIME,
    CachedKey,
    KeyCache,
    TenantKey,
    create_key,
    revoke_key,
)
from domain.tenants.keys import Scope
from infra import api_keys
from infra.db.engine import Database
from tests.fakes.clock import FakeClock

SECRET = b"s" * 32


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cache(database: Database, clock: FakeClock) -> KeyCache:
    return KeyCache(database, clock=clock.monotonic, now=clock.now)


async def new_key(database: Database, slug: str, expires_at: datetime | None = None) -> TenantKey:
    return await create_key(
        database,
        secret=SECRET,
        slug=slug,
        name="test",
        scopes=(Scope.READ,),
        expires_at=expires_at,
    )


async def find(cache: KeyCache, made: TenantKey) -> CachedKey | None:
    return await cache.find_usable(api_keys.hash_key(made.key, secret=SECRET))


async def test_a_key_revoked_elsewhere_is_refused_within_its_lifetime(
    database: Database, cache: KeyCache, clock: FakeClock, slug: str
) -> None:
    made = await new_key(database, slug)
    known = await find(cache, made)
    assert known is not None
    assert (known.id, known.tenant_id, known.scopes) == (
        made.key_id,
        made.tenant_id,
        frozenset({Scope.READ}),
    )
    await revoke_key(database, slug=slug, key_id=made.key_id)
    clock.seconds = KEY_LIFETIME - 0.001
    assert await find(cache, made) == known
    clock.seconds = KEY_LIFETIME
    assert await find(cache, made) is None


async def test_a_changed_key_is_looked_up_at_once(
    database: Database, cache: KeyCache, slug: str
) -> None:
    made, other = await new_key(database, slug), await new_key(database, slug)
    assert await find(cache, made)
    assert await find(cache, other)
    with cache.changing(made.key_id):
        await revoke_key(database, slug=slug, key_id=made.key_id)
    assert await find(cache, made) is None
    assert await find(cache, other)


async def test_a_change_with_an_unknown_outcome_counts_too(
    database: Database, cache: KeyCache, slug: str
) -> None:
    made = await new_key(database, slug)
    assert await find(cache, made)

    async def lose_the_answer() -> None:
        with cache.changing(made.key_id):
            await revoke_key(database, slug=slug, key_id=made.key_id)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await lose_the_answer()
    assert await find(cache, made) is None


async def test_what_was_read_before_a_change_is_not_remembered_after_it(
    database: Database, slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await new_key(database, slug)
    cache = KeyCache(database)
    read, changed = asyncio.Event(), asyncio.Event()
    look_up = database.key_session

    class Slow:
        """A look-up whose answer arrives after the change."""

        def __init__(self, key_hash: bytes) -> None:
            self._within = look_up(key_hash)

        async def __aenter__(self) -> object:
            return await self._within.__aenter__()

        async def __aexit__(self, *error: object) -> None:
            await self._within.__aexit__(None, None, None)
            read.set()
            await changed.wait()

    with monkeypatch.context() as patch:
        patch.setattr(database, "key_session", Slow)
        looking = asyncio.create_task(find(cache, made))
        await read.wait()
        with cache.changing(made.key_id):
            await revoke_key(database, slug=slug, key_id=made.key_id)
        changed.set()
        await looking
    assert await find(cache, made) is None


async def test_a_remembered_key_expires_on_time(
    database: Database, cache: KeyCache, clock: FakeClock, slug: str
) -> None:
    made = await new_key(database, slug, expires_at=clock.begin + timedelta(seconds=3600))
    clock.seconds = 3599
    assert await find(cache, made)
    clock.seconds = 3600
    assert await find(cache, made) is None


async def test_an_unknown_key_is_found_as_soon_as_it_exists(
    database: Database, cache: KeyCache, slug: str
) -> None:
    assert await cache.find_usable(b"x" * 32) is None
    assert await find(cache, await new_key(database, slug))


async def test_a_noted_use_is_remembered_with_the_key(
    database: Database, cache: KeyCache, clock: FakeClock, slug: str
) -> None:
    made = await new_key(database, slug)
    key_hash = api_keys.hash_key(made.key, secret=SECRET)
    cache.note_use(key_hash, clock.now())
    known = await find(cache, made)
    assert known is not None
    assert known.last_used_at is None
    cache.note_use(key_hash, clock.now())
    known = await find(cache, made)
    assert known is not None
    assert known.last_used_at == clock.now()
