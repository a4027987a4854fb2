"""The stand-in's HTTP server: routes, the key, and a record of what was asked."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.fakes.gemini import families
from tests.fakes.gemini.answers import answer, tokens_of
from tests.fakes.gemini.faults import Fault, Faults, On
from tests.fakes.gemini.files import FileStore
from tests.fakes.gemini.rpc import RpcError, exhausted
from tests.fakes.gemini.watching import Watched, watch
from tests.fakes.gemini.wire import (
    CachedContentRequest,
    CountTokensRequest,
    GenerateContentRequest,
    Part,
    UploadRequest,
    VideoMetadata,
    read,
)

KEY = "AIza-stand-in"
_AUDIO_TOKENS = 32
_CHARACTERS_A_TOKEN = 4
_DEFAULT_PAGE = 50
_MOST_OUTPUT = 65_536
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Call:
    """A request that came, valid or not: when (monotonic, s), and its JSON where it has one."""

    method: str
    path: str
    body: Any
    at: float


class FakeGemini:
    """Listens on a port of its own, in a thread, from `with` to its end.

    Attributes:
        calls: every request, in order.
        answers: what the model has said, in order: each was paid for.
        billed: what it was asked and answered, videos left out: useless and refused answers too.
        files: the uploaded files.
        faults: what is to go wrong.
        models: what it offers, in the order of `models.list`.
        routes: models that another one answers for, as after a retirement.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answers: list[str] = []
        self.billed: list[str] = []
        self.files = FileStore()
        self.faults = Faults()
        self.models: list[str] = [*families.CURRENT, *families.OLD]
        self.routes: dict[str, str] = {}
        self._caches: dict[str, dict[str, Any]] = {}
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(self._app(), log_level="error", lifespan="off", ws="none")
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), daemon=True
        )
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._socket.close()

    def asked(self, ending: str) -> list[Call]:
        """Return the calls whose path ends so."""
        return [call for call in self.calls if call.path.endswith(ending)]

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1beta/models", self._door(self._list), methods=["GET"]),
                Route(
                    "/v1beta/models/{model}:generateContent",
                    self._door(self._generate),
                    methods=["POST"],
                ),
                Route(
                    "/v1beta/models/{model}:streamGenerateContent",
                    self._door(self._stream),
                    methods=["POST"],
                ),
                Route(
                    "/v1beta/models/{model}:countTokens", self._door(self._count), methods=["POST"]
                ),
                Route("/upload/v1beta/files", self._door(self._start_upload), methods=["POST"]),
                Route("/upload/v1beta/files/{session}", self._door(self._upload), methods=["POST"]),
                Route("/v1beta/files/{name}", self._door(self._file), methods=["GET"]),
                Route("/v1beta/files/{name}", self._door(self._delete), methods=["DELETE"]),
                Route("/v1beta/cachedContents", self._door(self._cache), methods=["POST"]),
                Route(
                    "/v1beta/cachedContents/{name}",
                    self._door(self._cached),
                    methods=["GET", "DELETE"],
                ),
            ]
        )

    def _door(self, endpoint: Endpoint) -> Endpoint:
        async def checked(request: Request) -> Response:
            body = await request.body()
            is_json = request.headers.get("content-type", "").startswith("application/json")
            self.calls.append(
                Call(
                    request.method,
                    request.url.path,
                    _json(body) if is_json else None,
                    time.monotonic(),
                )
            )
            try:
                if "upload_id" not in request.query_params:
                    _check_key(request)
                return await endpoint(request)
            except RpcError as error:
                return error.response()

        return checked

    async def _fault(self, on: On) -> tuple[Fault, Response | None]:
        fault = self.faults.take(on)
        if fault.hang:
            await asyncio.to_thread(self._over.wait)
        if fault.html:
            return fault, HTMLResponse("<html>502 Bad Gateway</html>", status_code=502)
        if fault.status == "RESOURCE_EXHAUSTED":
            raise exhausted(fault.delay)
        if fault.status is not None:
            raise RpcError(fault.status, "The service is having a bad day.")
        return fault, None

    async def _list(self, request: Request) -> Response:
        _, page = await self._fault(On.MODELS)
        size = int(request.query_params.get("pageSize", _DEFAULT_PAGE))
        first = int(request.query_params.get("pageToken") or 0)
        listed: dict[str, Any] = {
            "models": [
                {"name": f"models/{name}", "supportedGenerationMethods": ["generateContent"]}
                for name in self.models[first : first + size]
            ]
        }
        if first + size < len(self.models):
            listed["nextPageToken"] = str(first + size)
        return page or JSONResponse(listed)

    def _check_model(self, request: Request) -> str:
        """Return the model that serves a request."""
        model: str = request.path_params["model"]
        if model in self.routes:
            return self.routes[model]
        if model not in self.models:
            raise RpcError(
                "NOT_FOUND",
                f"models/{model} is not found for API version v1beta, or is not supported for "
                "generateContent. Call ListModels to see the list of available models.",
            )
        return model

    async def _generate(self, request: Request) -> Response:
        asked = await self._asked(request)
        fault, page = await self._fault(On.GENERATE)
        return page or JSONResponse(self._response(request, asked, fault))

    async def _stream(self, request: Request) -> Response:
        asked = await self._asked(request)
        fault, page = await self._fault(On.GENERATE)
        whole = self._response(request, asked, fault)
        parts = whole["candidates"][0].pop("content")["parts"]
        text = parts[0]["text"]

        async def events() -> Any:  # noqa: ANN401
            for first in range(0, len(text), 40):
                content = {"role": "model", "parts": [{"text": text[first : first + 40]}]}
                yield f"data: {json.dumps({'candidates': [{'content': content}]})}\r\n\r\n"
            yield f"data: {json.dumps(whole)}\r\n\r\n"

        return page or StreamingResponse(events(), media_type="text/event-stream")

    async def _asked(self, request: Request) -> GenerateContentRequest:
        serving = self._check_model(request)
        asked = read(GenerateContentRequest, await request.body())
        families.thoughts(serving, asked.generation_config.thinking_config)
        if asked.cached_content and asked.cached_content not in self._caches:
            raise RpcError("NOT_FOUND", "CachedContent not found.")
        return asked

    def _response(
        self, request: Request, asked: GenerateContentRequest, fault: Fault
    ) -> dict[str, Any]:
        serving = self._check_model(request)
        watched = self._watch(asked.parts())
        self.billed.append(_question(asked))
        config = asked.generation_config
        usage = _usage(asked, watched, serving)
        meta = {"modelVersion": serving, "responseId": "stand-in"}
        if fault.blocked:
            feedback = {"promptFeedback": {"blockReason": fault.blocked}}
            return {**feedback, "usageMetadata": usage, **meta}
        thought = families.thoughts(serving, config.thinking_config)
        if fault.thoughts is not None:
            thought = fault.thoughts
        limit = config.max_output_tokens or _MOST_OUTPUT
        thought = min(thought, limit)
        if thought:
            usage["thoughtsTokenCount"] = thought
            usage["totalTokenCount"] += thought
        if fault.finish:
            self.answers.append("")
            candidate: dict[str, Any] = {"finishReason": fault.finish, "index": 0}
            return {"candidates": [candidate], "usageMetadata": usage, **meta}
        text = answer(config.schema_asked, watched) if fault.text is None else fault.text
        finish = "STOP"
        room = (limit - thought) * _CHARACTERS_A_TOKEN
        if fault.cut is not None or len(text) > room:
            text, finish = text[: room if fault.cut is None else fault.cut], "MAX_TOKENS"
        self.answers.append(text)
        candidate = {"finishReason": finish, "index": 0}
        if text:
            usage["candidatesTokenCount"] = tokens_of(text)
            usage["totalTokenCount"] += tokens_of(text)
            candidate["content"] = {"role": "model", "parts": [{"text": text}]}
        else:
            candidate["content"] = {"role": "model"}
        return {"candidates": [candidate], "usageMetadata": usage, **meta}

    def _watch(self, parts: list[Part]) -> Watched:
        videos = [part for part in parts if part.text is None]
        if not videos:
            return Watched((), 0.0, 0, heard=False, brightness=0.0)
        (video,) = videos
        metadata = video.video_metadata or VideoMetadata()
        if video.inline_data is not None:
            return watch(video.inline_data.content(), metadata)
        name = "files/" + video.file_data.file_uri.rpartition("/")[2] if video.file_data else ""
        stored = self.files.find(name)
        if stored.state != "ACTIVE":
            raise RpcError(
                "FAILED_PRECONDITION",
                f"The File {name} is not in an ACTIVE state and usage is not allowed.",
            )
        return watch(stored.data, metadata)

    async def _count(self, request: Request) -> Response:
        serving = self._check_model(request)
        asked = read(CountTokensRequest, await request.body())
        whole = GenerateContentRequest(contents=asked.contents)
        usage = _usage(whole, self._watch(whole.parts()), serving)
        return JSONResponse({"totalTokens": usage["promptTokenCount"]})

    async def _start_upload(self, request: Request) -> Response:
        _, page = await self._fault(On.UPLOAD)
        headers = request.headers
        if headers.get("x-goog-upload-protocol") != "resumable" or (
            headers.get("x-goog-upload-command") != "start"
        ):
            raise RpcError("INVALID_ARGUMENT", "An upload begins with the command start.")
        session = self.files.begin(
            read(UploadRequest, await request.body() or b"{}"),
            size=headers.get("x-goog-upload-header-content-length"),
            mime_type=headers.get("x-goog-upload-header-content-type"),
        )
        place = f"{self.url}/upload/v1beta/files/{session}?upload_id={session}"
        answered = {"x-goog-upload-url": place, "x-goog-upload-status": "active"}
        return page or JSONResponse({}, headers=answered)

    async def _upload(self, request: Request) -> Response:
        session = request.path_params["session"]
        commands = {
            word.strip() for word in request.headers.get("x-goog-upload-command", "").split(",")
        }
        fault = self.faults.take(On.FILE) if "finalize" in commands else Fault()
        if "upload" in commands:
            data = await request.body()
            self.files.add(
                session,
                data[: len(data) - fault.lose],
                offset=request.headers.get("x-goog-upload-offset"),
            )
        if "finalize" not in commands:
            return JSONResponse({}, headers={"x-goog-upload-status": "active"})
        try:
            stored = self.files.finish(session)
        except RpcError as error:
            response = error.response()
            response.headers["x-goog-upload-status"] = "final"
            return response
        if fault.state is not None:
            stored.state, stored.sticks = fault.state, True
        return JSONResponse(
            {"file": stored.resource(self.url)}, headers={"x-goog-upload-status": "final"}
        )

    async def _file(self, request: Request) -> Response:
        stored = self.files.find(f"files/{request.path_params['name']}")
        stored.look()
        return JSONResponse(stored.resource(self.url))

    async def _delete(self, request: Request) -> Response:
        _, page = await self._fault(On.DELETE)
        self.files.delete(f"files/{request.path_params['name']}")
        return page or JSONResponse({})

    async def _cache(self, request: Request) -> Response:
        asked = read(CachedContentRequest, await request.body())
        tokens = _usage(
            GenerateContentRequest(contents=asked.contents),
            self._watch([part for content in asked.contents for part in content.parts]),
            asked.model.removeprefix("models/"),
        )["promptTokenCount"]
        if tokens < 1024:
            raise RpcError(
                "INVALID_ARGUMENT",
                f"Cached content is too small. total_token_count={tokens}, min=1024",
            )
        name = f"cachedContents/stand-in-{len(self._caches) + 1}"
        self._caches[name] = {
            "name": name,
            "model": asked.model,
            "usageMetadata": {"totalTokenCount": tokens},
        }
        return JSONResponse(self._caches[name])

    async def _cached(self, request: Request) -> Response:
        name = f"cachedContents/{request.path_params['name']}"
        if name not in self._caches:
            raise RpcError("NOT_FOUND", "CachedContent not found.")
        if request.method == "DELETE":
            del self._caches[name]
            return JSONResponse({})
        return JSONResponse(self._caches[name])


def _check_key(request: Request) -> None:
    key = request.headers.get("x-goog-api-key") or request.query_params.get("key")
    if key is None:
        raise RpcError(
            "PERMISSION_DENIED", "Method doesn't allow unregistered callers. Please use an API Key."
        )
    if key != KEY:
        raise RpcError(
            "INVALID_ARGUMENT",
            "API key not valid. Please pass a valid API key.",
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"},
        )


def _usage(asked: GenerateContentRequest, watched: Watched, model: str) -> dict[str, Any]:
    resolution = asked.generation_config.media_resolution
    text = sum(tokens_of(part.text) for part in asked.parts() if part.text is not None)
    video = watched.frames * families.frame_tokens(model, resolution)
    audio = round(watched.seconds * _AUDIO_TOKENS) if watched.heard else 0
    details = [("TEXT", text), ("VIDEO", video), ("AUDIO", audio)]
    return {
        "promptTokenCount": text + video + audio,
        "totalTokenCount": text + video + audio,
        "promptTokensDetails": [
            {"modality": modality, "tokenCount": count} for modality, count in details if count
        ],
    }


def _question(asked: GenerateContentRequest) -> str:
    videos = {"contents": {"__all__": {"parts": {"__all__": {"inline_data", "file_data"}}}}}
    return asked.model_dump_json(exclude=videos)


def _json(body: bytes) -> Any:  # noqa: ANN401
    try:
        return json.loads(body or b"{}")
    except ValueError:
        return None
