"""Settings become adapters and services, the same ones in every process."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
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
from infra.rate_limit import RateLimiter
from infra.settings import Settings
from infra.settings.base import SettingsSection
from infra.settings.pipeline import (
    GeminiSettings,
    InboundSettings,
    RetentionSettings,
    WebhookSettings,
    WorkerSettings,
)
from infra.settings.services import AmqpSettings, EventSettings, TelemetrySettings
from infra.storage.clips import S3ClipStore
from infra.storage.segments import S3SegmentStore
from tests.fakes.s3_server import cdn_private_key

URL = "postgresql://nobody@127.0.0.1:1/none"
CDN_KEY: Final = cdn_private_key()
PACKAGES = ("activities", "api", "app", "domain", "infra")

# Settings that the shared services do not hold, and who reads them instead. A new setting belongs
# here or has an effect on the shared services, which the API and the worker then have in common.
READ_ELSEWHERE: Final[Mapping[str, str | type[SettingsSection]]] = {
    "the worker, for the broker": AmqpSettings,
    "the worker, for the analyzer": GeminiSettings,
    "the worker, for its own resources, and the schedules": WorkerSettings,
    "the schedules, and the API for connections": InboundSettings,
    "the schedules": RetentionSettings,
    "the API for endpoints, the worker for deliveries": WebhookSettings,
    "the API, for SSE": EventSettings,
    "each command, for its log": TelemetrySettings,
    "the log": "environment",
    "the commands dev, setup and doctor": "offline",
    "the API, for usage reports": "usage_prices",
    "the API, for limits of addresses": "address_refusals_per_minute",
    "the API, for files": "address_files_per_minute",
    "the API, for addresses of clients": "trusted_proxies",
    "the API, for territories of viewers": "viewer_country_header",
    "the API, for firewalls of tenants": "egress_addresses",
    "the API, for browsers": "cors_origins",
    "the API, for the console": "console_media_origins",
    "the API, for the console's links": "console_temporal_url",
    "the worker, for media": "segment_store",
    "the worker, for its copies of media in S3": "media_cache_bytes",
    "migrations": "database_owner_url",
    "the codec server, for requests": "codec_token",
    "the codec server, for its socket": "codec_address",
    "the codec server, for browsers": "codec_origins",
    "the clip store, inside a signer whose key this test cannot compare": "clip_cdn_private_key",
    "each command, before it starts": "database_start_timeout",
    "the connection pool, compared below": "database_url",
    "the connection pool, compared below as well": "database_pool_timeout",
}
# Values for settings that are neither switches nor numbers without an upper bound near the default.
CHANGED: Final[Mapping[str, str]] = {
    "gemini_tenant_share": "0.1",
    "gemini_video_share": "0.1",
    "home": "/elsewhere",
    "state_dir": "/elsewhere/state",
    "clip_store": "s3://elsewhere/clips",
    "clip_cdn_url": "https://cdn.example",
    "clip_cdn_key_id": "K2",
    "clip_cdn_distribution_id": "E2",
    "s3_encryption": "sse-kms",
    "s3_kms_key_id": "another-key",
    "redis_url": "redis://127.0.0.1:1/7",
    "temporal_address": "temporal.example:7233",
    "temporal_namespace": "another",
    "temporal_api_key": "another",
    "temporal_tls_client_cert_path": __file__,
    "temporal_tls_client_key_path": __file__,
    "temporal_tls_server_ca_cert_path": __file__,
    "temporal_tls_server_name": "another.example",
    "temporal_binary_path": sys.executable,
    "temporal_keys": f"another:{'k' * 32}",
    "temporal_metrics_address": "127.0.0.1:9999",
    "signing_secret": "another secret that is long enough",
    "default_plan": "starter",
    "api_host": "0.0.0.0",  # noqa: S104 -- not listened on
    "public_base_url": "https://highlights.example",
}
# What else must be set for some of them to have an effect.
IN_S3: Final = {"clip_store": "s3://bucket/clips"}
BEHIND_CDN: Final = IN_S3 | {
    "clip_cdn_url": "https://first.example",
    "clip_cdn_key_id": "K1",
    "clip_cdn_private_key": CDN_KEY,
}
REQUIRED: Final[Mapping[str, Mapping[str, str]]] = {
    "clip_cdn_url": BEHIND_CDN,
    "clip_cdn_key_id": BEHIND_CDN,
    "clip_cdn_distribution_id": BEHIND_CDN,
    "s3_encryption": IN_S3,
    "s3_kms_key_id": IN_S3 | {"s3_encryption": "sse-kms"},
    "s3_tags": IN_S3,
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


async def test_without_a_database_nothing_opens_and_the_error_has_a_remedy() -> None:
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


async def test_probing_analysis_and_rendering_never_wait_for_one_another() -> None:
    container = Container(settings())
    pools = (container.probes, container.media, container.rendering)
    assert len(set(map(id, pools))) == 3


async def test_probing_has_the_processor_before_analysis_and_analysis_before_rendering() -> None:
    container = Container(settings())
    probes, analysis, rendering = container.probes, container.media, container.rendering
    assert 0 == probes.niceness < analysis.niceness < rendering.niceness


async def test_what_was_used_is_closed() -> None:
    async with Container(settings()) as container:
        sender, quota = container.webhooks, container.gemini_quota
    assert sender._http.is_closed
    assert quota is container.gemini_quota


async def test_the_api_closes_its_database_and_limiter_once_when_it_stops(
    environment: pytest.MonkeyPatch,
) -> None:
    closed: list[object] = []

    async def close(self: object) -> None:
        closed.append(self)

    environment.setattr(Database, "close", close)
    environment.setattr(RateLimiter, "close", close)
    app = build_app(Settings())
    async with app.router.lifespan_context(app):
        assert closed == []
    services: ServiceRegistry = app.state.services
    assert closed == [services.limiter, services.database]


def read_elsewhere() -> frozenset[str]:
    names: set[str] = set()
    for each in READ_ELSEWHERE.values():
        names |= {each} if isinstance(each, str) else set(each.model_fields)
    return frozenset(names)


SHARED: Final = sorted(Settings.model_fields.keys() - read_elsewhere())


def change(name: str) -> str:
    """Return a value of a setting that differs from its default."""
    if name in CHANGED:
        return CHANGED[name]
    default = Settings.model_fields[name].default
    assert isinstance(default, bool | int | float), f"add a value of {name} to CHANGED"
    return str(not default) if isinstance(default, bool) else str(default + 1)


def set_all(environment: pytest.MonkeyPatch, names: Sequence[str]) -> None:
    """Set other values, and first what they require."""
    required = {key: value for name in names for key, value in REQUIRED.get(name, {}).items()}
    for name, value in (required | {name: change(name) for name in names}).items():
        environment.setenv(Settings.variables()[name][0], value)


@pytest.mark.parametrize("name", SHARED)
async def test_a_setting_has_an_effect_on_the_shared_services(
    name: str, environment: pytest.MonkeyPatch
) -> None:
    for required, value in REQUIRED.get(name, {}).items():
        environment.setenv(Settings.variables()[required][0], value)
    before = configuration_of_worker()
    set_all(environment, [name])
    assert configuration_of_worker() != before, f"add {name} to READ_ELSEWHERE, with who reads it"


async def test_the_api_and_the_worker_read_the_shared_settings_alike(
    environment: pytest.MonkeyPatch,
) -> None:
    set_all(environment, SHARED)
    assert configuration_of_api() == configuration_of_worker()


async def test_settings_read_elsewhere_have_no_effect_on_the_shared_services(
    environment: pytest.MonkeyPatch,
) -> None:
    numbers = [
        name
        for name in read_elsewhere()
        if isinstance(Settings.model_fields[name].default, bool | int | float)
    ]
    assert len(numbers) > 1
    before = configuration_of_worker()
    set_all(environment, numbers)
    assert configuration_of_worker() == before


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
