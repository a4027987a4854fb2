"""A running stream keeps the rules it was started with, whatever happens to the profiles."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event
from structlog.testing import capture_logs

from activities.selection import SelectionActivities
from app.services.profiles import PinnedProfiles, TenantProfileStore
from domain.highlights.selection import Decision, SelectHighlightsInput, SelectionState
from domain.profiles.model import GameProfile
from domain.score import DIMENSIONS, HighlightScore
from infra.db.engine import Database
from infra.db.repositories import profiles, streams
from infra.db.repositories.api_keys import create as create_key
from infra.profiles.store import ProfileStore
from tests.factories.rows import URL, candidate


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write(tmp_path, "default", "name: General\nkind: default\n")
    write(tmp_path, "soccer", "extends: default\nname: Soccer\nkind: sport\n")
    return tmp_path


@pytest.fixture
def store(directory: Path) -> ProfileStore:
    return ProfileStore(directory, check_interval=0.0)


def write(directory: Path, name: str, text: str) -> None:
    (directory / f"{name}.yaml").write_text(text, encoding="utf-8")


async def override(
    database: Database, store: ProfileStore, tenant: UUID, patch: dict[str, object]
) -> None:
    tenants = TenantProfileStore(store)
    async with database.session(tenant) as session:
        key = await create_key(
            session, tenant_id=tenant, name="k", key_hash=uuid4().bytes, hint="", scopes=()
        )
        before = await tenants.read_to_change(session, tenant)
        await tenants.override(
            session, before, tenant_id=tenant, profile_id="soccer", patch=patch, key_id=key.id
        )


async def start_stream(
    database: Database, store: ProfileStore, tenant: UUID
) -> tuple[UUID, GameProfile]:
    stream_id = uuid4()
    async with database.session(tenant) as session:
        profile = (await TenantProfileStore(store).read(session, tenant)).catalog.get("soccer")
        await profiles.pin(session, tenant_id=tenant, profile=profile)
        await streams.create(
            session,
            tenant_id=tenant,
            stream_id=stream_id,
            playlist_url=URL,
            game=profile.id,
            profile_id=profile.id,
            profile_version=profile.version,
        )
    return stream_id, profile


async def decide(
    selection: SelectionActivities, tenant: UUID, stream: UUID, profile: GameProfile
) -> tuple[Decision, ...]:
    score = HighlightScore(**dict.fromkeys(DIMENSIONS, 0.6), confidence=0.9)
    result = await selection.select_highlights(
        SelectHighlightsInput(
            tenant_id=tenant,
            stream_id=stream,
            profile_id=profile.id,
            profile_version=profile.version,
            state=SelectionState(),
            candidates=(candidate(tenant, stream).model_copy(update={"score": score}),),
            watermark=900.0,
            ended=True,
        )
    )
    return result.decisions


async def test_a_changed_override_a_reload_and_a_restart_change_no_decision(
    database: Database, tenant: UUID, directory: Path, store: ProfileStore
) -> None:
    await override(database, store, tenant, {"thresholds": {"standard": 0.5}})
    stream, profile = await start_stream(database, store, tenant)
    first = await decide(
        SelectionActivities(database=database, profiles=store), tenant, stream, profile
    )
    assert [decision.status for decision in first] == ["confirmed"]

    await override(database, store, tenant, {"thresholds": {"standard": 0.65}})
    write(directory, "soccer", "extends: default\nname: Soccer 2\nkind: sport\n")
    write(directory, "default", "name: General 2\nkind: default\nthresholds: {standard: 0.8}\n")
    restarted = SelectionActivities(database=database, profiles=ProfileStore(directory))
    assert await decide(restarted, tenant, stream, profile) == first

    later, changed = await start_stream(database, ProfileStore(directory), tenant)
    (decision,) = await decide(restarted, tenant, later, changed)
    assert decision.status == "rejected"


async def test_a_profile_that_is_gone_from_the_files_still_decides(
    database: Database, tenant: UUID, directory: Path, store: ProfileStore
) -> None:
    _, profile = await start_stream(database, store, tenant)
    (directory / "soccer.yaml").unlink()
    found = await PinnedProfiles(database, ProfileStore(directory)).find(
        tenant, "soccer", profile.version
    )
    assert (found.profile, found.note) == (profile, "")


@pytest.mark.parametrize("is_pinned", [True, False])
async def test_a_profile_is_looked_for_in_the_database_once(
    database: Database, tenant: UUID, store: ProfileStore, *, is_pinned: bool
) -> None:
    _, profile = await start_stream(database, store, tenant)
    version = profile.version if is_pinned else "000000000000"
    pinned = PinnedProfiles(database, store)
    statements: list[str] = []

    @event.listens_for(database._engine.sync_engine, "before_cursor_execute")
    def note(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    for _ in range(3):
        await pinned.find(tenant, "soccer", version)
    assert len([each for each in statements if "pinned_profiles" in each]) == 1


async def test_what_one_tenant_pinned_is_not_found_for_another(
    database: Database, tenant: UUID, other_tenant: UUID, store: ProfileStore
) -> None:
    await override(database, store, tenant, {"name": "House rules"})
    _, profile = await start_stream(database, store, tenant)
    pinned = PinnedProfiles(database, store)
    assert (await pinned.find(tenant, "soccer", profile.version)).profile.name == "House rules"
    assert (await pinned.find(other_tenant, "soccer", profile.version)).profile.name == "Soccer"


async def test_a_profile_that_was_never_pinned_has_a_stand_in_and_the_log_says_so(
    database: Database, tenant: UUID, store: ProfileStore
) -> None:
    with capture_logs() as logs:
        found = await PinnedProfiles(database, store).find(tenant, "soccer", "000000000000")
    assert found.profile == store.catalog.get("soccer")
    (log,) = logs
    assert log["event"] == "profile_not_pinned"
    assert log["note"] == found.note
    assert "version 000000000000 of profile `soccer` is no longer known" in found.note
