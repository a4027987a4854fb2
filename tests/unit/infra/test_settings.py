"""Settings: their names, their defaults, and that secrets stay secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from domain.ingest.messages import IngestLimits
from infra.settings import Settings


def test_well_known_names_are_read_without_a_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal:7233")
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/highlights")
    settings = Settings()
    assert settings.temporal_address == "temporal:7233"
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://db/highlights"


def test_our_own_names_have_our_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIGHLIGHTS_API_PORT", "9000")
    monkeypatch.setenv("API_PORT", "9001")
    assert Settings().api_port == 9000


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "")
    assert Settings().temporal_address is None


def test_an_impossible_port_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIGHLIGHTS_API_PORT", "70000")
    with pytest.raises(ValidationError, match="65535"):
        Settings()


def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIGHLIGHTS_CORS_ORIGINS", "https://a.example.com, https://b.example.com")
    assert Settings().cors_origins == ("https://a.example.com", "https://b.example.com")


def test_a_default_plan_that_there_is_none_of_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIGHLIGHTS_DEFAULT_PLAN", "gold")
    with pytest.raises(ValidationError, match="enterprise"):
        Settings()


def test_trusted_proxies_are_networks_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().trusted_proxies == ()
    monkeypatch.setenv("HIGHLIGHTS_TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8,192.0.2.1")
    assert [str(each) for each in Settings().trusted_proxies] == [
        "10.0.0.0/8",
        "fd00::/8",
        "192.0.2.1/32",
    ]


def test_a_proxy_that_is_no_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIGHLIGHTS_TRUSTED_PROXIES", "10.0.0.1/8")
    with pytest.raises(ValidationError, match="has host bits set"):
        Settings()


@pytest.mark.parametrize("url", ["amqp://u:hush@broker/", "amqps://broker:5671/%2F"])
def test_the_broker_is_named_by_an_amqp_url(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("AMQP_URL", url)
    broker = Settings().amqp_url
    assert broker is not None
    assert broker.get_secret_value() == url


def test_another_url_of_the_broker_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AMQP_URL", "redis://u:hush@broker/")
    with pytest.raises(ValidationError, match="begins with amqp://") as refused:
        Settings()
    assert "hush" not in str(refused.value)


def test_secrets_do_not_show() -> None:
    settings = Settings(
        gemini_api_key="hush-1",
        database_url="postgresql://u:hush-2@h/d",
        signing_secret="hush-3" * 8,
    )
    assert "hush" not in f"{settings!r} {settings}"


def test_all_models_that_may_be_asked_are_named_once() -> None:
    settings = Settings.model_validate(
        {
            "gemini_model": "models/gemini-3.8-flash",
            "gemini_by_profile": {"a": {"model": "gemini-3.8-flash"}, "b": {"model": "gemini-x"}},
            "gemini_prices": {"gemini-x": {"text": 1, "audio": 1, "output": 2}},
        }
    )
    assert settings.gemini_models() == ("gemini-3.8-flash", "gemini-x")
    prices = settings.gemini_price_table()
    assert prices.knows("gemini-x")
    assert prices.knows("gemini-3.5-flash-lite")  # built-in prices stay beside the operator's


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_has_a_description_in_a_section(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description
    assert description.endswith((".", "it."))
    assert sum(name in section.model_fields for section in Settings.sections) == 1


def test_ingest_limits_by_default_are_the_domains_own() -> None:
    assert Settings().ingest_limits() == IngestLimits()


def test_every_ingest_limit_can_be_set() -> None:
    for name, value in IngestLimits().model_dump().items():
        other: Any = not value if isinstance(value, bool) else value + 1
        settings = Settings(**{f"ingest_{name}": other})
        assert getattr(settings.ingest_limits(), name) == other


def test_all_state_follows_the_home(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert settings.state_path() == tmp_path / "dev"
    assert settings.segment_location() == tmp_path / "dev" / "segments"
    assert settings.clip_location() == tmp_path / "dev" / "clips"


def test_stores_in_other_directories_are_taken_as_they_are() -> None:
    settings = Settings(segment_store="/segments", clip_store="/clips")
    assert settings.segment_location() == Path("/segments")
    assert settings.clip_location() == Path("/clips")


def test_the_base_url_has_no_trailing_slash() -> None:
    assert Settings(public_base_url="https://api.example.com/").base_url() == (
        "https://api.example.com"
    )
    assert Settings(api_port=8001).base_url() == "http://127.0.0.1:8001"
