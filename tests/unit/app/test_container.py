"""Settings become adapters and services, the same ones in every process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import BaseModel, SecretStr

from app import startup
from app.container import Container
from app.serve import build_app
from app.services.registry import ServiceRegistry
from infra.db.engine import Database
from infra.errors import NotConfiguredError
from infra.settings import Settings
from infra.storage.clips import S3ClipStore
from infra.storage.segments import S3SegmentStore
from tests.s3_server import cdn_private_key

URL = "postgresql://nobody@127.0.0.1:1/none"
PACKAGES = ("activities", "api", "app", "domain", "infra")

# Every documented setting that the API and the worker both read, with another value than the
# default one. `CHANGED_DATABASE` are those of the connection pool, which the commands read too.
CHANGED: Final[Mapping[str, object]] = {
    "CLIP_STORE": "s3://elsewhere/clips",
    "CLIP_CDN_URL": "https://cdn.example",
    "HIGHLIGHTS_CLIP_CDN_KEY_ID": "K2",
    "HIGHLIGHTS_S3_ENCRYPTION": "sse-s3",
    "HIGHLIGHTS_S3_KMS_KEY_ID": "another-key",
    "HIGHLIGHTS_S3_TAGS": "false",
    "REDIS_URL": "redis://127.0.0.1:1/7",
    "TEMPORAL_ADDRESS": "temporal.example:7233",
    "TEMPORAL_NAMESPACE": "another",
    "HIGHLIGHTS_SIGNING_SECRET": "another secret that is long enough",
    "HIGHLIGHTS_ALLOW_PRIVATE_URLS": "true",
    "HIGHLIGHTS_DEFAULT_PLAN": "starter",
    "HIGHLIGHTS_PUBLIC_BASE_URL": "https://highlights.example",
    "HIGHLIGHTS_CLIP_URL_LIFETIME": "77",
    "HIGHLIGHTS_INGEST_WINDOW_DURATION": "3.5",
    "HIGHLIGHTS_INGEST_STALL_TIMEOUT": "123",
    "HIGHLIGHTS_INGEST_MAX_SEGMENT_BYTES": "1234567",
    "HIGHLIGHTS_INGEST_CAPTIONS": "false",
}
# What else must be set for some of them to have an effect.
IN_S3: Final = {"CLIP_STORE": "s3://bucket/clips"}
BEHIND_CDN: Final = IN_S3 | {
    "CLIP_CDN_URL": "https://first.example",
    "HIGHLIGHTS_CLIP_CDN_KEY_ID": "K1",
    "HIGHLIGHTS_CLIP_CDN_PRIVATE_KEY": cdn_private_key(),
}
REQUIRED: Final[Mapping[str, Mapping[str, str]]] = {
    "CLIP_CDN_URL": BEHIND_CDN,
    "HIGHLIGHTS_CLIP_CDN_KEY_ID": BEHIND_CDN,
    "HIGHLIGHTS_S3_ENCRYPTION": IN_S3,
    "HIGHLIGHTS_S3_KMS_KEY_ID": IN_S3 | {"HIGHLIGHTS_S3_ENCRYPTION": "sse-kms"},
    "HIGHLIGHTS_S3_TAGS": IN_S3,
}
CHANGED_DATABASE: Final[Mapping[str, object]] = {
    "DATABASE_URL": "postgresql://somebody@127.0.0.1:1/other",
    "HIGHLIGHTS_DATABASE_POOL_SIZE": "7",
    "HIGHLIGHTS_DATABASE_MAX_OVERFLOW": "13",
    "HIGHLIGHTS_DATABASE_POOL_TIMEOUT": "4.5",
    "HIGHLIGHTS_DATABASE_TRANSACTION_POOLER": "true",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment with a database only."""
    for names in Settings.variables().values():
        for name in names:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HIGHLIGHTS_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("HIGHLIGHTS_SIGNING_SECRET", "s" * 32)
    return monkeypatch


def settings(**changes: Any) -> Settings:  # noqa: ANN401 -- any setting
    given: dict[str, Any] = {"database_url": SecretStr(URL)} | changes
    return Settings(**given)


async def test_without_a_database_nothing_opens_and_the_remedy_is_told() -> None:
    with pytest.raises(NotConfiguredError, match=r"Set DATABASE_URL, or .*highlights dev"):
        Container(settings(database_url=None))


async def test_stores_lie_where_the_settings_say(tmp_path: Path) -> None:
    container = Container(
        settings(clip_store=str(tmp_path / "clips"), segment_store=str(tmp_path / "segments"))
    )
    assert await container.clips.locate("a.mp4", expires=0) == tmp_path / "clips" / "a.mp4"
    await container.segments.put("a/b", b"x")
    assert (tmp_path / "segments" / "a" / "b").is_file()


async def test_both_stores_in_s3_share_one_client() -> None:
    async with Container(
        settings(clip_store="s3://one/clips", segment_store="s3://two/segments")
    ) as container:
        clips, segments = container.clips, container.segments
    assert isinstance(clips, S3ClipStore)
    assert isinstance(segments, S3SegmentStore)
    assert str(clips._bucket.location) == "s3://one/clips"
    assert str(segments._bucket.location) == "s3://two/segments"
    assert clips._bucket._connection is segments._bucket._connection is container.s3


async def test_probing_never_waits_behind_analysis() -> None:
    container = Container(settings())
    assert container.probes is not container.media


async def test_what_was_used_is_closed() -> None:
    async with Container(settings()) as container:
        sender, quota = container.webhooks, container.gemini_quota
    assert sender._http.is_closed
    assert quota is container.gemini_quota


@pytest.mark.parametrize("variable", CHANGED)
async def test_a_setting_has_the_same_effect_in_the_api_and_the_worker(
    variable: str, environment: pytest.MonkeyPatch
) -> None:
    for name, value in REQUIRED.get(variable, {}).items():
        environment.setenv(name, value)
    before = configuration_of_worker()
    environment.setenv(variable, str(CHANGED[variable]))
    after = configuration_of_worker()
    assert after != before
    assert configuration_of_api() == after


@pytest.mark.parametrize("variable", CHANGED_DATABASE)
async def test_every_process_uses_the_database_in_the_same_way(
    variable: str, environment: pytest.MonkeyPatch
) -> None:
    made: list[tuple[tuple[str, ...], dict[str, object]]] = []

    class Recorded(Database):
        def __init__(self, *arguments: str, **options: Any) -> None:  # noqa: ANN401
            made.append((arguments, options))
            super().__init__(*arguments, **options)

    environment.setattr(startup, "Database", Recorded)
    Container(Settings())
    environment.setenv(variable, str(CHANGED_DATABASE[variable]))
    Container(Settings())
    build_app(Settings())
    startup.open_database(Settings())
    before, worker, api, command = made
    assert worker != before
    assert worker == api == command


def configuration_of_worker() -> dict[str, object]:
    return configuration(Container(Settings()).services)


def configuration_of_api() -> dict[str, object]:
    shared: ServiceRegistry = build_app(Settings()).state.services
    return configuration(shared)


def configuration(services: ServiceRegistry) -> dict[str, object]:
    """Every plain value that the services and adapters hold, else its type, by where it is."""
    found: dict[str, object] = {}
    for each in fields(ServiceRegistry):
        if each.name != "settings":
            found |= dict(_values(getattr(services, each.name), each.name, ()))
    return found


def _values(held: object, path: str, above: tuple[int, ...]) -> Iterator[tuple[str, object]]:
    if isinstance(held, (str, int, float, bytes, Enum, Path)):
        yield path, held
    elif isinstance(held, SecretStr):
        yield path, held.get_secret_value()
    elif isinstance(held, Settings):  # of the Temporal client, which connects later
        yield path, {name: value for name, value in held if name.startswith("temporal_")}
    elif isinstance(held, BaseModel):
        yield path, held.model_dump_json()
    elif type(held).__module__.partition(".")[0] in PACKAGES and id(held) not in above:
        for name, value in getattr(held, "__dict__", {}).items():
            if name not in {"_process", "_next_check"}:  # an id and a time of each instance
                yield from _values(value, f"{path}.{name}", (*above, id(held)))
    else:
        yield path, type(held).__qualname__
