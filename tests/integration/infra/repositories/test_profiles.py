"""Overrides are append-only revisions, pins never change, and both are their tenant's only."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.profiles.documents import ProfileOverride
from infra.db.engine import Database
from infra.db.errors import RevisionConflictError
from infra.db.repositories import profiles
from infra.db.repositories.profiles import ProfileOverrides
from infra.profiles.store import load_shipped_catalog

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def revision(
    tenant: UUID, number: int, profile: str = "soccer", **patch: object
) -> ProfileOverride:
    return ProfileOverride(
        tenant_id=tenant, profile_id=profile, revision=number, patch=patch, created_at=NOW
    )


async def append(database: Database, *overrides: ProfileOverride) -> None:
    for override in overrides:
        async with database.session(override.tenant_id) as session:
            await ProfileOverrides(session).append(override)


async def test_the_latest_revision_of_each_profile_is_current(
    database: Database, tenant: UUID
) -> None:
    tennis = revision(tenant, 1, "tennis", clip={"pre_roll": 1.5})
    latest = revision(tenant, 2, clip={"pre_roll": 1.0})
    await append(database, revision(tenant, 1, name="Old"), tennis, latest)
    async with database.session(tenant) as session:
        stored = ProfileOverrides(session)
        assert await stored.current(tenant) == (latest, tennis)
        assert await ProfileOverrides(session).heads(tenant) == (("soccer", 2), ("tennis", 1))


async def test_an_empty_revision_takes_the_override_back_and_the_history_stays(
    database: Database, tenant: UUID
) -> None:
    revisions = (revision(tenant, 1, name="A"), revision(tenant, 2), revision(tenant, 3, name="B"))
    await append(database, *revisions[:2])
    async with database.session(tenant) as session:
        stored = ProfileOverrides(session)
        assert await stored.current(tenant) == ()
        assert await stored.heads(tenant) == ()
        assert await stored.next_revision(tenant, "soccer") == 3
    await append(database, revisions[2])
    async with database.session(tenant) as session:
        stored = ProfileOverrides(session)
        assert await stored.history(tenant, "soccer") == revisions
        page = await stored.history_page(tenant, "soccer", before=3, limit=1)
        assert page == (revisions[1],)


@pytest.mark.parametrize("number", [1, 3])
async def test_a_revision_that_does_not_follow_the_latest_is_refused(
    database: Database, tenant: UUID, number: int
) -> None:
    await append(database, revision(tenant, 1, name="A"))
    with pytest.raises(RevisionConflictError):
        await append(database, revision(tenant, number, name="B"))


async def test_of_two_revisions_written_at_once_one_is_kept(
    database: Database, tenant: UUID
) -> None:
    both = (append(database, revision(tenant, 1, name=name)) for name in "AB")
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome] == [RevisionConflictError]


async def test_while_one_change_is_made_another_waits(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    async with database.session(tenant) as session:
        await ProfileOverrides(session).lock(tenant)
        await lock_at_once(database, other_tenant)
        with pytest.raises(DBAPIError, match="lock timeout"):
            await lock_at_once(database, tenant)
    await lock_at_once(database, tenant)


async def lock_at_once(database: Database, tenant: UUID) -> None:
    async with database.session(tenant) as session:
        await session.execute(text("SET LOCAL lock_timeout = '20ms'"))
        await ProfileOverrides(session).lock(tenant)


@pytest.mark.parametrize("profile_id", load_shipped_catalog().ids())
async def test_a_pinned_profile_comes_back_as_it_was(
    database: Database, tenant: UUID, profile_id: str
) -> None:
    profile = load_shipped_catalog().get(profile_id)
    for _ in range(2):
        async with database.session(tenant) as session:
            await profiles.pin(session, tenant_id=tenant, profile=profile)
    async with database.session(tenant) as session:
        found = await profiles.pinned(
            session, tenant_id=tenant, profile_id=profile_id, version=profile.version
        )
    assert found == profile


async def test_nothing_of_another_tenants_is_seen(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    profile = load_shipped_catalog().get("soccer")
    await append(database, revision(other_tenant, 1, name="Theirs"))
    async with database.session(other_tenant) as session:
        await profiles.pin(session, tenant_id=other_tenant, profile=profile)
    async with database.session(tenant) as session:
        stored = ProfileOverrides(session)
        assert await stored.current(other_tenant) == ()
        assert await stored.heads(other_tenant) == ()
        assert await stored.history(other_tenant, "soccer") == ()
        assert await stored.next_revision(other_tenant, "soccer") == 1
        assert (
            await profiles.pinned(
                session, tenant_id=other_tenant, profile_id="soccer", version=profile.version
            )
            is None
        )


async def test_nothing_is_written_for_another_tenant(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.session(tenant) as session:
            await ProfileOverrides(session).append(revision(other_tenant, 1, name="Mine"))
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.session(tenant) as session:
            await profiles.pin(
                session, tenant_id=other_tenant, profile=load_shipped_catalog().get("soccer")
            )


@pytest.mark.parametrize("table", ["profile_overrides", "pinned_profiles"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET profile_id = 'x'"])
async def test_what_was_written_cannot_be_changed_or_deleted(
    database: Database, tenant: UUID, table: str, statement: str
) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with database.session(tenant) as session:
            await session.execute(text(statement.format(table)))
