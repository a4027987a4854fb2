"""Our client: what it sends, what it makes of answers, and what of failures."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from traceback import format_exception
from typing import Any

import pytest

from domain.analysis.gemini.query import Excerpt, GeminiAnswer, GeminiQuery, QueryStep
from domain.profiles.model import MediaResolution
from infra.errors import NotConfiguredError
from infra.gemini import (
    GeminiBusyError,
    GeminiClient,
    GeminiModelError,
    GeminiRefusedError,
    GeminiUnavailableError,
    VideoUnusableError,
)
from tests.fakes.gemini import KEY, FakeGemini, Fault, On
from tests.integration.gemini.conftest import MODEL, Service, brief_options

PEAK = 24.0
SCHEMA = {
    "type": "object",
    "properties": {"peak": {"type": "string", "description": "MM:SS.s of the loudest instant"}},
    "required": ["peak"],
}


def question(**changes: Any) -> GeminiQuery:  # noqa: ANN401
    ask = GeminiQuery(
        step=QueryStep.REFINE,
        version="test-1",
        model=MODEL,
        system="You answer in JSON.",
        prompt="When is it loudest?",
        answer_schema=SCHEMA,
        max_output=200,
        excerpt=Excerpt(start=16.0, end=32.0, fps=4.0, resolution=MediaResolution.LOW),
    )
    return ask.model_copy(update=changes)


async def ask(client: GeminiClient, film: Path, **changes: Any) -> GeminiAnswer:  # noqa: ANN401
    async with client.video(film) as video:
        return await client.ask(question(**changes), video)


@pytest.fixture
async def client_of_service(service: Service) -> AsyncIterator[GeminiClient]:
    client = GeminiClient(service.key, brief_options(service.base_url, call_deadline=30.0))
    yield client
    await client.close()


@pytest.fixture
async def uploading(fake_gemini: FakeGemini) -> AsyncIterator[GeminiClient]:
    client = GeminiClient(KEY, brief_options(fake_gemini.url, inline_bytes=0, file_wait=2.0))
    yield client
    await client.close()


async def test_a_question_is_answered_in_the_form_asked_for(
    client_of_service: GeminiClient, film_file: Path
) -> None:
    answer = await ask(client_of_service, film_file)
    assert answer.finish == "STOP"
    assert set(json.loads(answer.text)) == {"peak"}


async def test_usage_is_reported_by_price_class(
    client_of_service: GeminiClient, film_file: Path
) -> None:
    usage = (await ask(client_of_service, film_file)).usage
    assert usage.audio == pytest.approx(16 * 32, rel=0.2)
    assert usage.text >= 16 * 4 * 60
    assert usage.output > 0


async def test_what_a_call_takes_is_never_more_than_was_estimated(
    client_of_service: GeminiClient, film_file: Path
) -> None:
    usage = (await ask(client_of_service, film_file)).usage
    assert usage.total <= 1.2 * question().max_usage().total


async def test_the_excerpt_is_what_is_watched(client: GeminiClient, film_file: Path) -> None:
    answer = await ask(client, film_file)
    assert json.loads(answer.text) == {"peak": "00:24.250"}


async def test_a_small_video_is_sent_inline(
    client: GeminiClient, fake_gemini: FakeGemini, film_file: Path
) -> None:
    await ask(client, film_file)
    assert [call.path for call in fake_gemini.calls] == [f"/v1beta/models/{MODEL}:generateContent"]


async def test_a_big_video_is_uploaded_once_for_all_questions_and_deleted(
    uploading: GeminiClient, fake_gemini: FakeGemini, film_file: Path
) -> None:
    async with uploading.video(film_file) as video:
        first = await uploading.ask(question(), video)
        second = await uploading.ask(question(), video)
    assert first == second
    assert len(fake_gemini.asked("/upload/v1beta/files")) == 1
    assert fake_gemini.files.files == {}
    assert len(fake_gemini.files.deleted) == 1


async def test_an_upload_is_deleted_after_a_failure_too(
    uploading: GeminiClient, fake_gemini: FakeGemini, film_file: Path
) -> None:
    fake_gemini.faults.add(Fault(status="INTERNAL"))
    with pytest.raises(GeminiUnavailableError):
        await ask(uploading, film_file)
    assert fake_gemini.files.files == {}


async def test_an_upload_that_cannot_be_deleted_is_no_error(
    uploading: GeminiClient, fake_gemini: FakeGemini, film_file: Path
) -> None:
    fake_gemini.faults.add(Fault(On.DELETE, status="UNAVAILABLE"))
    assert (await ask(uploading, film_file)).finish == "STOP"


@pytest.mark.parametrize("state", ["PROCESSING", "FAILED"])
async def test_a_video_that_is_not_processed_is_given_up(
    fake_gemini: FakeGemini, film_file: Path, state: str
) -> None:
    client = GeminiClient(KEY, brief_options(fake_gemini.url, inline_bytes=0, file_wait=1.0))
    fake_gemini.faults.add(Fault(On.FILE, state=state))
    with pytest.raises(VideoUnusableError):
        await ask(client, film_file)
    assert fake_gemini.files.files == {}
    await client.close()


async def test_too_many_requests_say_how_long_to_wait(
    client: GeminiClient, fake_gemini: FakeGemini, film_file: Path
) -> None:
    fake_gemini.faults.add(Fault(status="RESOURCE_EXHAUSTED", delay=7.5))
    with pytest.raises(GeminiBusyError) as caught:
        await ask(client, film_file)
    assert caught.value.retryable
    assert caught.value.retry_after == 7.5


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status="INTERNAL"),
        Fault(status="UNAVAILABLE"),
        Fault(status="RESOURCE_EXHAUSTED"),
        Fault(html=True),
        Fault(On.UPLOAD, status="UNAVAILABLE"),
    ],
    ids=lambda fault: f"{fault.on}-{fault.status or 'html'}",
)
async def test_a_server_in_trouble_may_be_asked_again_and_the_sdk_does_not(
    uploading: GeminiClient, fake_gemini: FakeGemini, film_file: Path, fault: Fault
) -> None:
    fake_gemini.faults.add(fault)
    with pytest.raises(GeminiUnavailableError) as caught:
        await ask(uploading, film_file)
    assert caught.value.retryable
    assert caught.value.retry_after is None
    assert len(fake_gemini.asked(":generateContent")) <= 1
    assert len(fake_gemini.asked("/upload/v1beta/files")) == 1


async def test_a_call_that_is_not_answered_ends_at_its_deadline(
    fake_gemini: FakeGemini, film_file: Path
) -> None:
    client = GeminiClient(KEY, brief_options(fake_gemini.url, call_deadline=0.5))
    fake_gemini.faults.add(Fault(hang=True))
    with pytest.raises(GeminiUnavailableError, match=r"within 0\.5 s"):
        await ask(client, film_file)
    await client.close()


async def test_a_server_that_is_not_there_may_come_back(film_file: Path) -> None:
    with FakeGemini() as gone:
        url = gone.url
    client = GeminiClient(KEY, brief_options(url))
    with pytest.raises(GeminiUnavailableError, match="cannot be reached"):
        await ask(client, film_file)
    await client.close()


async def test_a_wrong_key_is_never_right_later(fake_gemini: FakeGemini, film_file: Path) -> None:
    client = GeminiClient("AIza-wrong", brief_options(fake_gemini.url))
    with pytest.raises(GeminiRefusedError) as caught:
        await ask(client, film_file)
    assert not caught.value.retryable
    assert "AIza-wrong" not in str(caught.value)
    await client.close()


async def test_an_unknown_model_is_refused(client: GeminiClient, film_file: Path) -> None:
    with pytest.raises(GeminiModelError, match="404"):
        await ask(client, film_file, model="gemini-of-tomorrow")


async def test_a_file_that_has_expired_is_no_missing_model(
    client: GeminiClient, fake_gemini: FakeGemini, film_file: Path
) -> None:
    fake_gemini.faults.add(Fault(status="NOT_FOUND"))
    with pytest.raises(GeminiRefusedError) as caught:
        await ask(client, film_file)
    assert not isinstance(caught.value, GeminiModelError)


@pytest.mark.parametrize("key", ["AIza-mark\n", " AIza-mark", "AIza mark", "AIza-märk", "", "\x00"])
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(NotConfiguredError, match="GEMINI_API_KEY") as caught:
        GeminiClient(key, brief_options("http://127.0.0.1:1"))
    assert "AIza" not in "".join(format_exception(caught.value))


async def test_the_models_on_offer_are_listed(
    client: GeminiClient, fake_gemini: FakeGemini
) -> None:
    assert await client.models(within=5.0) == set(fake_gemini.models)


async def test_models_that_are_not_listed_in_time_are_an_outage(
    client: GeminiClient, fake_gemini: FakeGemini
) -> None:
    fake_gemini.faults.add(Fault(On.MODELS, hang=True))
    with pytest.raises(GeminiUnavailableError):
        await client.models(within=0.2)


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        ("gemini-2.5-flash", [{"thinking_budget": 0}]),
        ("gemini-2.5-pro", [{"thinking_budget": 0}, {"thinking_budget": 128}]),
        ("gemini-3.8-flash", [{"thinking_level": "MINIMAL"}]),
        ("gemini-3.1-pro-preview", [{"thinking_level": "MINIMAL"}, {"thinking_level": "LOW"}]),
    ],
)
async def test_each_family_thinks_as_little_as_it_may(
    client: GeminiClient,
    fake_gemini: FakeGemini,
    film_file: Path,
    model: str,
    sent: list[dict[str, object]],
) -> None:
    answer = await ask(client, film_file, model=model)
    assert (answer.finish, answer.model) == ("STOP", model)
    bodies = [call.body for call in fake_gemini.asked(":generateContent")]
    assert [body["generationConfig"]["thinkingConfig"] for body in bodies] == sent


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault(cut=5), ("MAX_TOKENS", None)),
        (Fault(finish="SAFETY"), ("SAFETY", None)),
        (Fault(blocked="PROHIBITED_CONTENT"), ("", "PROHIBITED_CONTENT")),
    ],
)
async def test_an_answer_that_is_cut_or_blocked_is_still_an_answer(
    client: GeminiClient,
    fake_gemini: FakeGemini,
    film_file: Path,
    fault: Fault,
    outcome: tuple[str, str | None],
) -> None:
    fake_gemini.faults.add(fault)
    answer = await ask(client, film_file)
    assert (answer.finish, answer.blocked) == outcome
    assert answer.usage.text > 0
