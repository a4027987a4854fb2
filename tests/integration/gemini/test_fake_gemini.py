"""The stand-in keeps the protocol: driven by Google's own client, and by hand where that cannot."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors, types

from tests.fakes.gemini import KEY, FakeGemini, Fault, On
from tests.integration.gemini.conftest import MODEL

PEAK = 24.0
MOMENTS = {
    "type": "object",
    "properties": {
        "moments": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"peak": {"type": "string"}},
                "required": ["peak"],
            },
        }
    },
    "required": ["moments"],
}


@pytest.fixture
def sdk(fake_gemini: FakeGemini) -> genai.Client:
    return genai.Client(
        api_key=KEY,
        http_options=types.HttpOptions(
            base_url=fake_gemini.url,
            api_version="v1beta",
            retry_options=types.HttpRetryOptions(attempts=1),
        ),
    )


def config(**values: object) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(
        response_mime_type="application/json",
        response_json_schema=MOMENTS,
        **values,
    )


def inline(film: bytes, **metadata: str | float) -> list[types.Content]:
    blob = types.Blob(data=film, mime_type="video/mp4")
    part = types.Part(inline_data=blob, video_metadata=types.VideoMetadata.model_validate(metadata))
    return [types.Content(role="user", parts=[part, types.Part(text="What happens?")])]


def peaks(response: types.GenerateContentResponse) -> list[float]:
    moments = json.loads(response.text or "")["moments"]
    return [float(each["peak"].removeprefix("00:")) for each in moments]


async def ask(sdk: genai.Client, contents: list[types.Content]) -> list[float]:
    return peaks(
        await sdk.aio.models.generate_content(model=MODEL, contents=contents, config=config())
    )


async def test_it_finds_the_moment_in_the_bytes_it_is_sent(
    sdk: genai.Client, film_bytes: bytes
) -> None:
    assert await ask(sdk, inline(film_bytes, fps=4.0)) == [pytest.approx(PEAK, abs=0.5)]


async def test_it_sees_only_the_excerpt_it_is_pointed_at(
    sdk: genai.Client, film_bytes: bytes
) -> None:
    before = inline(film_bytes, start_offset="2s", end_offset="15s")
    assert await ask(sdk, before) == []


async def test_more_frames_a_second_tell_the_time_more_finely(
    sdk: genai.Client, film_bytes: bytes
) -> None:
    (coarse,) = await ask(sdk, inline(film_bytes, fps=0.5))
    assert coarse % 2.0 == 0.0


@pytest.mark.parametrize(
    ("model", "resolution", "frame"),
    [
        (MODEL, "LOW", 70),
        (MODEL, "HIGH", 280),
        ("gemini-2.5-flash", "LOW", 66),
        ("gemini-2.5-flash", "HIGH", 258),
    ],
)
async def test_it_bills_frames_sound_and_text(
    sdk: genai.Client, film_bytes: bytes, model: str, resolution: str, frame: int
) -> None:
    chosen = types.MediaResolution(f"MEDIA_RESOLUTION_{resolution}")
    response = await sdk.aio.models.generate_content(
        model=model,
        contents=inline(film_bytes, fps=1.0),
        config=config(media_resolution=chosen),
    )
    usage = response.usage_metadata
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    billed = {
        str(each.modality.value): each.token_count
        for each in usage.prompt_tokens_details
        if each.modality
    }
    assert billed["VIDEO"] == 40 * frame
    assert billed["AUDIO"] == pytest.approx(40 * 32, abs=10)


async def test_a_file_is_uploaded_processed_watched_and_deleted(
    sdk: genai.Client, fake_gemini: FakeGemini, film_file: Path
) -> None:
    files = sdk.aio.files
    uploaded = await files.upload(file=str(film_file))
    assert uploaded.name is not None
    assert uploaded.state == types.FileState.PROCESSING
    assert (await files.get(name=uploaded.name)).state == types.FileState.PROCESSING
    uploaded = await files.get(name=uploaded.name)
    assert uploaded.state == types.FileState.ACTIVE
    data = types.FileData(file_uri=uploaded.uri, mime_type="video/mp4")
    part = types.Part(file_data=data)
    assert await ask(sdk, [types.Content(role="user", parts=[part])]) == [24.0]
    await files.delete(name=uploaded.name or "")
    assert fake_gemini.files.files == {}


async def test_a_file_still_in_processing_cannot_be_watched(
    sdk: genai.Client, film_file: Path
) -> None:
    uploaded = await sdk.aio.files.upload(file=str(film_file))
    data = types.FileData(file_uri=uploaded.uri, mime_type="video/mp4")
    with pytest.raises(errors.ClientError, match="ACTIVE"):
        await ask(sdk, [types.Content(role="user", parts=[types.Part(file_data=data)])])


async def test_an_upload_that_loses_bytes_is_refused(
    sdk: genai.Client, fake_gemini: FakeGemini, film_file: Path
) -> None:
    fake_gemini.faults.add(Fault(On.FILE, lose=1000))
    with pytest.raises(errors.ClientError, match="announced"):
        await sdk.aio.files.upload(file=str(film_file))


def test_an_upload_at_a_wrong_offset_is_refused(fake_gemini: FakeGemini) -> None:
    headers = {
        "x-goog-api-key": KEY,
        "x-goog-upload-protocol": "resumable",
        "x-goog-upload-command": "start",
        "x-goog-upload-header-content-length": "10",
        "x-goog-upload-header-content-type": "video/mp4",
    }
    begun = httpx.post(f"{fake_gemini.url}/upload/v1beta/files", headers=headers, json={"file": {}})
    answer = httpx.post(
        begun.headers["x-goog-upload-url"],
        headers={"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "3"},
        content=b"0123456789",
    )
    assert answer.status_code == 400
    assert "offset" in answer.json()["error"]["message"]


async def test_a_truncated_file_fails_in_processing(
    sdk: genai.Client, film_bytes: bytes, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.mp4"
    await asyncio.to_thread(cut.write_bytes, film_bytes[:5000])
    uploaded = await sdk.aio.files.upload(file=str(cut))
    for _ in range(2):
        uploaded = await sdk.aio.files.get(name=uploaded.name or "")
    assert uploaded.state == types.FileState.FAILED


async def test_an_answer_can_be_streamed(sdk: genai.Client, film_bytes: bytes) -> None:
    stream = await sdk.aio.models.generate_content_stream(
        model=MODEL, contents=inline(film_bytes), config=config()
    )
    text = "".join([chunk.text or "" async for chunk in stream])
    assert json.loads(text)["moments"] == [{"peak": "00:24.000"}]


async def test_tokens_can_be_counted_and_content_cached(
    sdk: genai.Client, film_bytes: bytes
) -> None:
    contents = inline(film_bytes)
    counted = await sdk.aio.models.count_tokens(model=MODEL, contents=contents)
    assert counted.total_tokens is not None
    assert counted.total_tokens > 40 * 70
    cache = await sdk.aio.caches.create(
        model=MODEL, config=types.CreateCachedContentConfig(contents=contents, ttl="300s")
    )
    assert cache.name is not None
    await sdk.aio.caches.delete(name=cache.name)
    with pytest.raises(errors.ClientError, match="not found"):
        await sdk.aio.caches.get(name=cache.name)


@pytest.mark.parametrize(
    ("request_body", "complaint"),
    [
        ({"contents": [{"parts": [{"text": "x"}]}], "surprise": 1}, 'Unknown name "surprise"'),
        ({"contents": []}, "contents"),
        ({"contents": [{"parts": [{"text": "x", "fileData": {}}]}]}, "fileData"),
        (
            {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": {"temperature": 3}},
            "temperature",
        ),
        (
            {
                "contents": [{"parts": [{"text": "x"}]}],
                "generationConfig": {"responseJsonSchema": {"type": "object"}},
            },
            "response_mime_type",
        ),
        (
            {
                "contents": [{"parts": [{"text": "x"}]}],
                "generationConfig": {
                    "responseMimeType": "application/json",
                    "responseJsonSchema": {"type": "object", "minProperties": 1},
                },
            },
            "minProperties",
        ),
        (
            {"contents": [{"parts": [{"inlineData": {"mimeType": "video/mp2t", "data": ""}}]}]},
            "mp4",
        ),
    ],
)
def test_a_request_against_the_documents_is_refused(
    fake_gemini: FakeGemini, request_body: dict[str, Any], complaint: str
) -> None:
    answer = httpx.post(
        f"{fake_gemini.url}/v1beta/models/{MODEL}:generateContent",
        headers={"x-goog-api-key": KEY},
        json=request_body,
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"
    assert complaint in answer.text.replace("\\", "")


@pytest.mark.parametrize("fps", [0.0, 24.5])
async def test_a_frame_rate_out_of_range_is_refused(
    sdk: genai.Client, film_bytes: bytes, fps: float
) -> None:
    with pytest.raises(errors.ClientError, match="fps"):
        await ask(sdk, inline(film_bytes, fps=fps))


async def test_more_than_twenty_megabytes_inline_are_refused(sdk: genai.Client) -> None:
    with pytest.raises(errors.ClientError, match="payload size"):
        await ask(sdk, inline(bytes(16 << 20)))


@pytest.mark.parametrize(("key", "status"), [(None, 403), ("wrong", 400)])
def test_without_the_key_nothing_is_answered(
    fake_gemini: FakeGemini, key: str | None, status: int
) -> None:
    headers = {"x-goog-api-key": key} if key else {}
    answer = httpx.post(
        f"{fake_gemini.url}/v1beta/models/{MODEL}:generateContent", headers=headers, json={}
    )
    assert answer.status_code == status


async def test_it_says_how_long_to_wait(sdk: genai.Client, fake_gemini: FakeGemini) -> None:
    fake_gemini.faults.add(Fault(status="RESOURCE_EXHAUSTED", delay=7.5))
    with pytest.raises(errors.ClientError) as caught:
        await sdk.aio.models.generate_content(model=MODEL, contents="hello")
    assert "'retryDelay': '7.5s'" in str(caught.value.details)


async def test_an_answer_can_be_cut_short_and_a_prompt_blocked(
    sdk: genai.Client, fake_gemini: FakeGemini
) -> None:
    fake_gemini.faults.add(
        Fault(cut=3), Fault(finish="SAFETY"), Fault(blocked="PROHIBITED_CONTENT")
    )
    cut, unsafe, blocked = [
        await sdk.aio.models.generate_content(model=MODEL, contents="hello") for _ in range(3)
    ]
    assert cut.candidates is not None
    assert unsafe.candidates is not None
    assert cut.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert unsafe.candidates[0].finish_reason == types.FinishReason.SAFETY
    assert blocked.prompt_feedback is not None
    assert blocked.prompt_feedback.block_reason == types.BlockedReason.PROHIBITED_CONTENT


@pytest.mark.parametrize(
    ("model", "thinking", "complaint"),
    [
        (MODEL, {"thinkingBudget": 0, "thinkingLevel": "LOW"}, "only one of"),
        ("gemini-2.5-flash", {"thinkingLevel": "LOW"}, "not supported"),
        ("gemini-2.5-pro", {"thinkingBudget": 0}, "Budget 0"),
        ("gemini-3.7-flash", {"thinkingLevel": "MINIMAL"}, "not supported"),
    ],
)
def test_thinking_that_a_model_does_not_take_is_refused(
    fake_gemini: FakeGemini, model: str, thinking: dict[str, Any], complaint: str
) -> None:
    answer = httpx.post(
        f"{fake_gemini.url}/v1beta/models/{model}:generateContent",
        headers={"x-goog-api-key": KEY},
        json={
            "contents": [{"parts": [{"text": "x"}]}],
            "generationConfig": {"thinkingConfig": thinking},
        },
    )
    assert answer.status_code == 400
    assert complaint in answer.text
    assert fake_gemini.billed == []


async def test_thoughts_are_output_and_use_up_its_limit(
    sdk: genai.Client, fake_gemini: FakeGemini
) -> None:
    fake_gemini.faults.add(Fault(thoughts=500))
    limited = types.GenerateContentConfig(max_output_tokens=100)
    empty = await sdk.aio.models.generate_content(model=MODEL, contents="hi", config=limited)
    assert not empty.text
    assert empty.candidates is not None
    assert empty.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert empty.usage_metadata is not None
    assert empty.usage_metadata.thoughts_token_count == 100


async def test_it_lists_its_models_page_by_page(sdk: genai.Client, fake_gemini: FakeGemini) -> None:
    pager = await sdk.aio.models.list(config={"page_size": 2})
    names = [str(each.name).removeprefix("models/") async for each in pager]
    assert names == fake_gemini.models


async def test_another_model_may_answer_and_says_so(
    sdk: genai.Client, fake_gemini: FakeGemini
) -> None:
    fake_gemini.routes["gemini-2.5-flash"] = MODEL
    answer = await sdk.aio.models.generate_content(model="gemini-2.5-flash", contents="hi")
    assert answer.model_version == MODEL
