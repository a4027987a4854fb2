"""The HTTP side of the origin, with the headers of a CDN."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import zlib
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from demo.origin.channel import Channel
from demo.origin.faults import OversizedSegment
from demo.origin.parts import Directives

_PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
_SEGMENT_TYPES = {"ts": "video/mp2t", "m4s": "video/iso.segment"}
_CORS = {"Access-Control-Allow-Origin": "*"}
_NOT_MEDIA = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
_CHUNK = 1 << 16
_TRICKLES_PER_SECOND = 10
_NULL_PACKET = b"\x47\x1f\xff\x10" + b"\xff" * 184


def build_app(channel: Channel) -> Starlette:
    """Serve one channel, below its own path and below that of its room (as 100ms does)."""
    server = _Server(channel)
    routes = [
        Route(f"{channel.path}/master.m3u8", server.master),
        Route(f"{channel.path}/{{variant}}/index.m3u8", server.media),
        Route(f"{channel.path}/{{variant}}/part_{{name}}", server.part),
        Route(f"{channel.path}/{{variant}}/{{name}}", server.segment),
        Route(server.room_path, server.master),
    ]
    return Starlette(routes=routes)


class _Server:
    """The request handlers."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        room, day, epoch = channel.path.rsplit("/", 2)
        self.room_path = f"{room}/master.m3u8"
        self._prefix_from_room = f"{day}/{epoch}/"

    async def master(self, request: Request) -> Response:
        channel = self._channel
        channel.hits["master.m3u8"] += 1
        channel.requested.set()
        if redirected := self._redirect("master"):
            return redirected
        impostor = self._impostor()
        if impostor is not None:
            return impostor
        if not channel.visible:
            return _refuse(404)
        in_room = request.url.path == self.room_path
        return _playlist(request, channel.master(self._prefix_from_room if in_room else ""))

    async def media(self, request: Request) -> Response:
        channel = self._channel
        variant = request.path_params["variant"]
        channel.hits[f"{variant}/index.m3u8"] += 1
        if redirected := self._redirect("media"):
            return redirected
        if channel.visible and channel.has_captions(variant):
            return _playlist(request, channel.caption_playlist())
        if not channel.visible or not channel.has_variant(variant):
            return _refuse(404)
        if status := channel.media_error():
            return _refuse(status)
        return await self._live(request, variant)

    async def _live(self, request: Request, variant: str) -> Response:
        """Answer when the playlist lists what the request asks for."""
        try:
            directives = Directives.of(request.query_params)
        except ValueError:
            return _refuse(400)
        if status := await self._channel.hold(directives):
            return _refuse(status)
        return _playlist(request, self._channel.media(variant, skip=directives.skip))

    async def segment(self, request: Request) -> Response:
        channel = self._channel
        variant, name = request.path_params["variant"], request.path_params["name"]
        channel.hits[f"{variant}/{name}"] += 1
        if channel.visible and channel.has_captions(variant):
            text = channel.caption_segment(name)
            return _refuse(404) if text is None else _captions(text)
        if not channel.visible or not channel.has_variant(variant):
            return _refuse(404)
        if name == "init.mp4" and (init := channel.init(variant)) is not None:
            return Response(init, media_type="video/mp4", headers=_CORS)
        index = channel.index_of(name)
        if index is None:
            return _refuse(404)
        if status := channel.segment_error(index):
            return _refuse(status)
        return self._redirect("segment") or self._send(variant, index)

    async def part(self, request: Request) -> Response:
        channel = self._channel
        variant, name = request.path_params["variant"], f"part_{request.path_params['name']}"
        channel.hits[f"{variant}/{name}"] += 1
        if not channel.visible or not channel.has_variant(variant):
            return _refuse(404)
        if status := await channel.hold_part(name):
            return _refuse(status)
        return Response(channel.part(variant, name), media_type=_SEGMENT_TYPES[channel.suffix])

    def _send(self, variant: str, index: int) -> Response:
        channel = self._channel
        headers = {**_CORS, "Cache-Control": "max-age=3600"}
        media_type = _SEGMENT_TYPES[channel.suffix]
        oversized = next((o for o in channel.faults.oversized if o.segment == index), None)
        if oversized is not None:
            if oversized.declared:
                headers["Content-Length"] = str(oversized.size)
            return StreamingResponse(_padding(oversized), headers=headers, media_type=media_type)
        data = channel.segment(variant, index)
        slow = next((s for s in channel.faults.slow if s.segment == index), None)
        if slow is not None:
            headers["Content-Length"] = str(len(data))
            return StreamingResponse(
                _trickle(data, slow.bytes_per_second), headers=headers, media_type=media_type
            )
        return Response(data, headers=headers, media_type=media_type)

    def _redirect(self, of: str) -> Response | None:
        redirect = self._channel.faults.redirect
        if redirect is None or redirect.of != of:
            return None
        return RedirectResponse(redirect.location, status_code=302)

    def _impostor(self) -> Response | None:
        """Return what stands in the place of the master playlist, if anything does."""
        faults = self._channel.faults
        match faults.master:
            case "missing":
                return _refuse(404)
            case "html":
                return HTMLResponse("<!doctype html><title>Sign in</title><p>Please sign in.")
            case "binary":
                return Response(_NOT_MEDIA, media_type=_PLAYLIST_TYPE)
            case "gzip_bomb":
                headers = {"Content-Encoding": "gzip"}
                bomb = _gzip_bomb(faults.bomb_bytes)
                return StreamingResponse(bomb, headers=headers, media_type=_PLAYLIST_TYPE)
            case "playlist":
                return None


def _refuse(status: int) -> Response:
    return Response(f"{status}\n", status_code=status, media_type="text/plain", headers=_CORS)


def _playlist(request: Request, text: str) -> Response:
    etag = f'"{hashlib.sha256(text.encode()).hexdigest()[:20]}"'
    headers = {**_CORS, "ETag": etag, "Cache-Control": "max-age=1"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(text, media_type=_PLAYLIST_TYPE, headers=headers)


def _captions(text: str) -> Response:
    headers = {**_CORS, "Cache-Control": "max-age=3600"}
    return Response(text, media_type="text/vtt", headers=headers)


async def _trickle(data: bytes, bytes_per_second: int) -> AsyncIterator[bytes]:
    step = max(1, bytes_per_second // _TRICKLES_PER_SECOND)
    for start in range(0, len(data), step):
        yield data[start : start + step]
        await asyncio.sleep(1 / _TRICKLES_PER_SECOND)


async def _padding(oversized: OversizedSegment) -> AsyncIterator[bytes]:
    """Yield well-formed but empty transport packets up to the size."""
    chunk = _NULL_PACKET * (_CHUNK // len(_NULL_PACKET))
    left = oversized.size
    while left > 0:
        yield chunk[:left]
        left -= len(chunk)
        # A loop-back client never blocks the sender; without this nobody else would be served.
        await asyncio.sleep(0)


def _gzip_bomb(size: int) -> Iterator[bytes]:
    """Yield a playlist of `size` bytes when unpacked, a thousandth of that on the wire."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    yield packer.compress(b"#EXTM3U\n")
    for _ in range(size // _CHUNK):
        yield packer.compress(b"#" * _CHUNK)
    yield packer.flush()


class EmbeddedServer(uvicorn.Server):
    """Uvicorn inside someone else's event loop: signals are the host's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the host's signal handlers alone."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """Listen on a TCP port (0 for a free one), so that the address is known before serving.

    Raises:
        OSError: the port is taken.
    """
    return socket.create_server((host, port), backlog=256)


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """Serve an application on a bound socket for as long as the context lasts."""
    config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off", ws="none")
    server = EmbeddedServer(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = server.force_exit = True
        await task
        listener.close()
