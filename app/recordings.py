"""`highlights process`: submit a finished video to an API, and show what is found in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from domain.streams.report import clock
from domain.streams.status import TERMINAL
from infra.errors import NotConfiguredError, SetupError
from infra.settings import Settings
from infra.state_directory import StateDirectory

_POLL_INTERVAL: Final = 0.5
_TIMEOUT: Final = httpx.Timeout(30.0, write=None)
_PART: Final = 1 << 20
_PAGE: Final = 100


@dataclass(frozen=True, kw_only=True)
class ApiAccess:
    """Where an API is, and a key of it."""

    url: str
    key: str


def api_access(settings: Settings, *, url: str | None, key: str | None) -> ApiAccess:
    """Return the API that is named, or that of the running `highlights dev`.

    Raises:
        NotConfiguredError: neither is there.
    """
    if url is not None and key is not None:
        return ApiAccess(url=url, key=key)
    running = StateDirectory(settings.state_path()).running()
    if url is not None or key is not None or running is None or running.api_key is None:
        raise NotConfiguredError(
            "It is not known which API to use.",
            remedy="Start `highlights dev`, or pass both --url and --key.",
        )
    return ApiAccess(url=running.api_url, key=running.api_key)


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A video, as the path of a file or an address, and what is known of it."""

    source: str
    game: str | None = None
    title: str | None = None
    languages: tuple[str, ...] = ()
    criteria: str | None = None

    @property
    def is_address(self) -> bool:
        """True if the API is to fetch it."""
        return self.source.startswith(("http://", "https://"))

    @property
    def known(self) -> dict[str, str | list[str]]:
        """What is known of it, and what is wanted."""
        fields: dict[str, str | list[str] | None] = {
            "game": self.game,
            "title": self.title,
            "languages": list(self.languages),
            "criteria": self.criteria,
        }
        return {name: value for name, value in fields.items() if value}


async def process(
    recording: Recording, access: ApiAccess, *, console: Console, as_json: bool
) -> bool:
    """Submit a recording, show the progress of its analysis, and then its highlights.

    Returns:
        True if it was analyzed.

    Raises:
        SetupError: the file cannot be read, or the API refuses the request or does not answer.
    """
    headers = {"Authorization": f"Bearer {access.key}"}
    try:
        async with httpx.AsyncClient(
            base_url=access.url, headers=headers, timeout=_TIMEOUT
        ) as http:
            stream = await _watch(http, await _submit(http, recording), console)
            highlights = await _highlights(http, stream["id"])
    except httpx.TransportError as error:
        raise SetupError(
            f"The API at {access.url} does not answer: {error}.", remedy="See `highlights doctor`."
        ) from error
    if as_json:
        # Not by rich, which would wrap lines at the terminal's width.
        print(json.dumps({"stream": stream, "highlights": highlights}, indent=2))  # noqa: T201
    else:
        _show(stream, highlights, console)
    return bool(stream["status"] == "completed")


async def _submit(http: httpx.AsyncClient, recording: Recording) -> str:
    if recording.is_address:
        body = {"url": recording.source, **recording.known}
        answer = await http.post("/v1/recordings", json=body)
    else:
        file = Path(recording.source)
        try:
            size = (await asyncio.to_thread(file.stat)).st_size
            answer = await http.post(
                "/v1/recordings/upload",
                params=recording.known,
                content=_parts(file),
                headers={
                    "Content-Type": "application/octet-stream",
                    "Content-Length": str(size),
                },
            )
        except OSError as error:
            raise SetupError(
                f"{file} cannot be read: {error.strerror}.", remedy="Check its path."
            ) from error
    return str(_answer(answer)["id"])


async def _parts(file: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(file.open, "rb") as source:
        while part := await asyncio.to_thread(source.read, _PART):
            yield part


async def _watch(http: httpx.AsyncClient, stream_id: str, console: Console) -> dict[str, Any]:
    """Wait for the end of the analysis, and show how far it is."""
    columns = (TextColumn("analyzed"), BarColumn(), TextColumn("{task.fields[at]}"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task("analyzed", total=None, at="")
        while True:
            stream = _answer(await http.get(f"/v1/streams/{stream_id}"))
            at = f"{clock(stream['analyzed'])} of {clock(stream['duration'] or 0.0)}"
            progress.update(
                task,
                total=stream["duration"],
                completed=stream["analyzed"],
                at=at if stream["duration"] else "reading the recording",
            )
            if stream["status"] in TERMINAL:
                return stream
            await asyncio.sleep(_POLL_INTERVAL)


async def _highlights(http: httpx.AsyncClient, stream_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        query = {"stream_id": stream_id, "limit": str(_PAGE), "status": "confirmed"}
        page = _answer(
            await http.get(
                "/v1/highlights/list", params=query | ({"cursor": cursor} if cursor else {})
            )
        )
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return sorted(found, key=lambda each: float(each["peak"]))


def _answer(response: httpx.Response) -> dict[str, Any]:
    """Return the body of an answer.

    Raises:
        SetupError: the API refuses the request.
    """
    if response.is_success:
        found: dict[str, Any] = response.json()
        return found
    try:
        detail = str(response.json()["detail"])
    except (ValueError, KeyError):
        detail = f"HTTP status {response.status_code}"
    raise SetupError(f"The API refuses: {detail}", remedy="See its /errors page.")


def _show(stream: dict[str, Any], highlights: list[dict[str, Any]], console: Console) -> None:
    if stream["status"] != "completed":
        console.print(f"{stream['status']}: {stream['end']['message']}", soft_wrap=True)
        return
    missed = (stream["criteria"] or {}).get("not_understood")
    if missed:
        console.print(f"Not understood of the criteria: {', '.join(missed)}.", soft_wrap=True)
    table = Table("at", "score", "highlight", "clip")
    for each in highlights:
        clip = each["clip"] or {}
        table.add_row(
            clock(each["peak"]), f"{each['score']:.2f}", each["title"], clip.get("url") or ""
        )
    console.print(table if highlights else "No highlight was found.", soft_wrap=True)
