"""The Gemini client and its errors."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import httpx2
import structlog
from google import genai
from google.genai import types
from google.genai.errors import APIError
from pydantic import Field, NonNegativeInt, PositiveFloat

from domain.analysis.gemini.pricing import TokenUsage, bare_name
from domain.analysis.gemini.query import Excerpt, GeminiAnswer, GeminiQuery
from domain.model import Model
from domain.profiles.model import MediaResolution
from domain.text import clean_text
from infra.errors import NotConfiguredError
from infra.gemini.chunk_file import MIME_TYPE
from infra.redaction import header_problem, redact

_RETRYABLE: Final = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}


_NO_ACCESS: Final = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


_API_KEY_INVALID: Final = "API_KEY_INVALID"


_RETRY_INFO: Final = "google.rpc.RetryInfo"


_THINKING: Final = re.compile(r"thinking", re.IGNORECASE)


# google.protobuf.Duration as JSON: seconds with an "s".
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)s")


_LONGEST_MESSAGE: Final = 300


class GeminiError(Exception):
    """A call failed.

    Attributes:
        retryable: whether a retry may help.
        retry_after: seconds to wait before a retry, if the service states them.
    """

    retryable = False

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class GeminiUnavailableError(GeminiError):
    """The service did not respond, or is temporarily unavailable."""

    retryable = True


class GeminiBusyError(GeminiUnavailableError):
    """The quota is used up for the moment."""


class GeminiRefusedError(GeminiError):
    """The service rejects the request permanently."""


class GeminiModelError(GeminiRefusedError):
    """The service does not offer the model to this key."""


class GeminiAccessError(GeminiRefusedError):
    """The service does not accept the key."""


class ThinkingLevelError(GeminiRefusedError):
    """The model does not take this level of thinking."""


class VideoUnusableError(GeminiError):
    """The uploaded video did not become usable."""


class DeadlineError(GeminiUnavailableError):
    """The call took longer than it may."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Gemini did not answer within {seconds:g} s")


def error_of(error: APIError, *, model: str | None = None) -> GeminiError:
    """Return what an error of the API means for us; `model` is the one that was asked, if any."""
    message = f"Gemini answered {error.code} {error.status or ''}: {error.message or ''}"
    message = redact(message)[:_LONGEST_MESSAGE]
    delay = _delay(error.details)
    if error.code == HTTPStatus.TOO_MANY_REQUESTS:
        return GeminiBusyError(message, retry_after=delay)
    if error.code in _RETRYABLE:
        return GeminiUnavailableError(message, retry_after=delay)
    # A 403 about a file means that it has expired or belongs to another key.
    refused = error.code in _NO_ACCESS and "the File " not in message
    if refused or _API_KEY_INVALID in str(error.details):
        return GeminiAccessError(message)
    if error.code == HTTPStatus.BAD_REQUEST and _THINKING.search(message):
        return ThinkingLevelError(message)
    # A 404 without a model's name is of an uploaded file that has expired.
    if error.code == HTTPStatus.NOT_FOUND and model is not None and "models/" in message:
        return GeminiModelError(message)
    return GeminiRefusedError(message)


def _delay(details: Any) -> float | None:  # noqa: ANN401 whatever JSON the server sent
    """Return the delay (s) of a google.rpc.RetryInfo among the details."""
    error = details.get("error", details) if isinstance(details, dict) else {}
    found = error.get("details", ()) if isinstance(error, dict) else ()
    for detail in found if isinstance(found, list) else ():
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith(_RETRY_INFO):
            match = _DURATION.fullmatch(str(detail.get("retryDelay", "")))
            if match:
                return float(match[1])
    return None


_log = structlog.get_logger(__name__)


# The service refuses deadlines below ten seconds; ours may be shorter, and are kept on this side.
_LEAST_SERVER_DEADLINE: Final = 10.0


_LONGEST_ANSWER: Final = 1 << 18
"""Characters; the largest that is asked for has some thousands."""


# Sport is full of tackles, blood and gunfire that are no harm; what is left is still filtered.
_THRESHOLD: Final = types.HarmBlockThreshold.BLOCK_ONLY_HIGH


_HARMS: Final = (
    types.HarmCategory.HARM_CATEGORY_HARASSMENT,
    types.HarmCategory.HARM_CATEGORY_HATE_SPEECH,
    types.HarmCategory.HARM_CATEGORY_SEXUALLY_EXPLICIT,
    types.HarmCategory.HARM_CATEGORY_DANGEROUS_CONTENT,
)


_RESOLUTIONS: Final = {
    MediaResolution.LOW: types.MediaResolution.MEDIA_RESOLUTION_LOW,
    MediaResolution.MEDIUM: types.MediaResolution.MEDIA_RESOLUTION_MEDIUM,
    MediaResolution.HIGH: types.MediaResolution.MEDIA_RESOLUTION_HIGH,
}


# Of gemini-2.5-pro, whose thinking cannot be switched off.
_LEAST_PRO_BUDGET: Final = 128


_LIST_PAGE: Final = 1000


class GeminiOptions(Model):
    """How the service is called.

    Attributes:
        base_url: where it is; None is Google.
        call_deadline: seconds that a call may take, upload and processing not included.
        inline_bytes: size up to which a video is sent with each question; above, it is uploaded
            once, kept for the questions that follow, and deleted.
        file_wait: seconds that an uploaded video may take to be processed.
        file_poll: polling interval of its state, in seconds.
    """

    base_url: str | None = None
    call_deadline: PositiveFloat = 30.0
    inline_bytes: NonNegativeInt = Field(default=4 << 20, le=14 << 20)
    file_wait: PositiveFloat = 20.0
    file_poll: PositiveFloat = 0.5


class GeminiClient:
    """The service, for one project. Close it when done.

    Raises:
        NotConfiguredError: the key cannot be sent as a header.
    """

    def __init__(self, api_key: str, options: GeminiOptions) -> None:
        if problem := header_problem(api_key):
            raise NotConfiguredError(
                f"GEMINI_API_KEY is no key: it {problem}.",
                remedy="Copy the key once more, without quotes, spaces or line breaks.",
            )
        self._options = options
        # The first level of thinking that each model has not refused.
        self._thinking: dict[str, int] = {}
        server_deadline = max(options.call_deadline, _LEAST_SERVER_DEADLINE)
        self._client = genai.Client(
            api_key=api_key,
            vertexai=False,
            http_options=types.HttpOptions(
                base_url=options.base_url,
                api_version="v1beta",
                timeout=int(server_deadline * 1000),
                retry_options=types.HttpRetryOptions(attempts=1),
            ),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aio.aclose()

    @asynccontextmanager
    async def video(self, path: Path) -> AsyncIterator[Video]:
        """Offer a video file for questions; what is uploaded for them is deleted at the end."""
        video = Video(path)
        try:
            yield video
        finally:
            if video.name is not None:
                await self._delete(video.name)

    async def ask(self, ask: GeminiQuery, video: Video) -> GeminiAnswer:
        """Ask one question about an excerpt of `video`.

        Raises:
            GeminiUnavailableError: a later retry may help.
            GeminiRefusedError: a retry does not help.
            VideoUnusableError: the video was not processed.
        """
        part = await self._part(video, ask.excerpt)
        contents = [types.Content(role="user", parts=[part, types.Part(text=ask.prompt)])]
        while True:
            level = self._thinking.get(ask.model, 0)
            try:
                async with _mapped(self._options.call_deadline, model=ask.model):
                    response = await self._client.aio.models.generate_content(
                        model=ask.model, contents=list(contents), config=_config(ask, level)
                    )
            except ThinkingLevelError as error:
                # Models differ in the levels they take, and a refusal is not billed.
                if level + 1 >= len(_levels(ask.model)):
                    raise
                _log.warning("gemini_thinking_level_refused", model=ask.model, error=str(error))
                self._thinking[ask.model] = max(level + 1, self._thinking.get(ask.model, 0))
                continue
            return _answer(response)

    async def models(self, *, within: float) -> frozenset[str]:
        """Return the names of the models that the service offers to the key.

        Args:
            within: seconds that this may take.

        Raises:
            GeminiError: it did not answer in time, or refused.
        """
        async with _mapped(within):
            pager = await self._client.aio.models.list(config={"page_size": _LIST_PAGE})
            return frozenset([bare_name(each.name) async for each in pager if each.name])

    async def _part(self, video: Video, excerpt: Excerpt) -> types.Part:
        """Return the video as part of a question, uploading it where it is too big to be sent."""
        metadata = types.VideoMetadata(
            start_offset=_offset(excerpt.start), end_offset=_offset(excerpt.end), fps=excerpt.fps
        )
        size = (await asyncio.to_thread(video.path.stat)).st_size
        if size <= self._options.inline_bytes:
            data = await asyncio.to_thread(video.path.read_bytes)
            blob = types.Blob(data=data, mime_type=MIME_TYPE)
            return types.Part(inline_data=blob, video_metadata=metadata)
        if video.uri is None:
            await self._upload(video)
        file = types.FileData(file_uri=video.uri, mime_type=MIME_TYPE)
        return types.Part(file_data=file, video_metadata=metadata)

    async def _upload(self, video: Video) -> None:
        wait = self._options.file_wait
        async with _mapped(wait):
            file = await self._client.aio.files.upload(
                file=str(video.path), config=types.UploadFileConfig(mime_type=MIME_TYPE)
            )
            video.name = file.name
        try:
            async with asyncio.timeout(wait):
                while file.state == types.FileState.PROCESSING:
                    await asyncio.sleep(self._options.file_poll)
                    async with _mapped(wait):
                        file = await self._client.aio.files.get(name=file.name or "")
        except TimeoutError:
            raise VideoUnusableError(f"the video was not processed within {wait:g} s") from None
        if file.state != types.FileState.ACTIVE:
            raise VideoUnusableError("the service could not process the video")
        video.uri = file.uri

    async def _delete(self, name: str) -> None:
        """Delete an uploaded file; failing to costs nothing, since it expires within 48 hours."""
        try:
            async with _mapped(self._options.call_deadline):
                await self._client.aio.files.delete(name=name)
        except GeminiError as error:
            _log.warning("gemini_file_not_deleted", error=str(error))


class Video:
    """A local file under questions, and the name and address of its upload, once there is one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name: str | None = None
        self.uri: str | None = None


@asynccontextmanager
async def _mapped(seconds: float, *, model: str | None = None) -> AsyncIterator[None]:
    """Bound a call, to a `model` if any, and turn what goes wrong in it into our errors."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise DeadlineError(seconds) from None
    except APIError as error:
        raise error_of(error, model=model) from error
    except (httpx2.HTTPError, OSError) as error:
        message = f"Gemini cannot be reached ({type(error).__name__})"
        raise GeminiUnavailableError(message) from error
    except (KeyError, ValueError) as error:  # not JSON, or not of the protocol
        message = f"Gemini answered what is no answer ({type(error).__name__})"
        raise GeminiUnavailableError(message) from error


def _config(ask: GeminiQuery, level: int) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(
        system_instruction=ask.system,
        temperature=ask.temperature,
        max_output_tokens=ask.output_limit,
        response_mime_type="application/json",
        response_json_schema=ask.answer_schema,
        media_resolution=_RESOLUTIONS[ask.excerpt.resolution],
        thinking_config=_levels(ask.model)[level],
        safety_settings=[
            types.SafetySetting(category=harm, threshold=_THRESHOLD) for harm in _HARMS
        ],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )


def _levels(model: str) -> tuple[types.ThinkingConfig | None, ...]:
    """Return how little a model may think, the least first; thoughts are billed as output.

    A request has `thinking_budget` (2.x) or `thinking_level` (3.x), never both. The last resort
    leaves it to the model.
    """
    if model.startswith("gemini-2"):
        return (
            types.ThinkingConfig(thinking_budget=0),
            types.ThinkingConfig(thinking_budget=_LEAST_PRO_BUDGET),
            None,
        )
    return (
        types.ThinkingConfig(thinking_level=types.ThinkingLevel.MINIMAL),
        types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW),
        None,
    )


def _offset(seconds: float) -> str:
    return f"{seconds:.3f}s"


def _answer(response: types.GenerateContentResponse) -> GeminiAnswer:
    candidate = response.candidates[0] if response.candidates else None
    parts = candidate.content.parts if candidate and candidate.content else None
    feedback = response.prompt_feedback
    blocked = feedback.block_reason if feedback else None
    return GeminiAnswer(
        text=clean_text(
            "".join(part.text or "" for part in parts or () if not part.thought), _LONGEST_ANSWER
        ),
        finish=str(candidate.finish_reason.value) if candidate and candidate.finish_reason else "",
        blocked=str(blocked.value) if blocked else None,
        model=response.model_version or "",
        usage=_usage(response.usage_metadata),
    )


def _usage(metadata: types.GenerateContentResponseUsageMetadata | None) -> TokenUsage:
    if metadata is None:
        return TokenUsage()
    audio = sum(
        each.token_count or 0
        for each in metadata.prompt_tokens_details or ()
        if each.modality is types.MediaModality.AUDIO
    )
    return TokenUsage(
        text=max(0, (metadata.prompt_token_count or 0) - audio),
        audio=audio,
        cached=metadata.cached_content_token_count or 0,
        output=(metadata.candidates_token_count or 0) + (metadata.thoughts_token_count or 0),
    )
