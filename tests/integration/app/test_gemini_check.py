"""Doctor and worker ask Gemini for its models, and say what is wrong with the configured ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from app import doctor
from app.doctor import Finding, check_gemini_once, examine_gemini, log_gemini_check
from infra.gemini import GeminiClient, GeminiOptions
from infra.settings import Settings
from tests.fakes.gemini import KEY, FakeGemini, Fault, On


@pytest.fixture(scope="module")
def fake_gemini() -> Iterator[FakeGemini]:
    with FakeGemini() as server:
        yield server


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no failure."""
    monkeypatch.setattr(doctor, "_GEMINI_TIMEOUT", 60.0)


def settings_of(fake_gemini: FakeGemini, **values: Any) -> Settings:  # noqa: ANN401
    known = {"gemini_api_key": KEY, "gemini_base_url": fake_gemini.url}
    return Settings.model_validate({**known, **values})


async def test_a_current_model_that_is_offered_is_fine(fake_gemini: FakeGemini) -> None:
    check = await check_gemini_once(settings_of(fake_gemini))
    assert (check.answers, check.works, check.warnings) == (True, True, ())


@pytest.mark.parametrize(
    ("values", "works", "words"),
    [
        ({"gemini_model": "gemini-2.5-flash"}, True, "retired on 2026-12-01"),
        ({"gemini_model": "gemini-of-yesterday"}, False, "does not offer"),
        ({"gemini_by_profile": {"soccer": {"model": "gemini-x"}}}, False, "gemini-x"),
        ({"gemini_api_key": "AIza-wrong"}, False, "refused the key"),
        ({"gemini_base_url": "http://127.0.0.1:1"}, True, "could not be asked"),
    ],
    ids=["retired", "unknown", "unknown-of-a-profile", "wrong-key", "no-network"],
)
async def test_what_is_wrong_is_said(
    fake_gemini: FakeGemini, values: dict[str, Any], works: bool, words: str
) -> None:
    settings = settings_of(fake_gemini, **values)
    check = await check_gemini_once(settings)
    assert check.works is works
    assert words in " ".join(check.warnings)


def test_doctor_says_it_in_a_line(fake_gemini: FakeGemini) -> None:
    assert found(fake_gemini).state == "ok"
    assert found(fake_gemini, gemini_model="gemini-of-yesterday").blocks
    away = found(fake_gemini, gemini_base_url="http://127.0.0.1:1")
    assert (away.state, away.version) == ("optional", "gemini-3.5-flash-lite")


async def test_a_worker_logs_it_and_works_on(fake_gemini: FakeGemini) -> None:
    settings = settings_of(fake_gemini, gemini_model="gemini-2.5-flash")
    client = GeminiClient(KEY, GeminiOptions(base_url=fake_gemini.url))
    fake_gemini.faults.add(Fault(On.MODELS, status="UNAVAILABLE"))
    with capture_logs() as logs:
        await log_gemini_check(settings, client)
        await log_gemini_check(settings, None)
    await client.close()
    assert [entry["log_level"] for entry in logs] == ["warning", "warning"]


def found(fake_gemini: FakeGemini, **values: Any) -> Finding:  # noqa: ANN401
    return examine_gemini(settings_of(fake_gemini, **values))
