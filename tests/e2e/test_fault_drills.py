"""Something fails while a stream is played; afterwards everything agrees (`highlights audit`).

One installation serves all drills, so that each also meets what an earlier one left. CI runs the
short form; `make fault-drills` runs all of them, at moments that DRILL_SEED chooses.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
import pytest_asyncio

from demo.match import Match
from demo.origin import LiveOrigin, OriginOptions
from demo.origin.faults import CorruptSegment, Faults
from domain.streams.status import TERMINAL
from tests.e2e.drill_installation import DrillInstallation, ProcessPart, drill_installation
from tests.e2e.tenant import Tenant
from tests.fakes.tcp_proxy import TcpProxy
from tests.fakes.webhook_receiver import Received, receiver

ALL: Final = bool(os.environ.get("FAULT_DRILLS"))
SEED: Final = int(os.environ.get("DRILL_SEED", "1"))
PACE: Final = 4.0 if ALL else 6.0
LIMIT: Final = 240.0
OUTAGE: Final = 8.0
_FILE_LIMIT: Final = 64 << 10
_TOO_LATE: Final = 20.0
"""Seconds after which the sender has given up (HIGHLIGHTS_WEBHOOK_TIMEOUT is 15)."""
_SLOW_DOWN: Final = (
    b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>"
)
SLOW_DOWN: Final = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_SLOW_DOWN), _SLOW_DOWN)
)

pytestmark = [pytest.mark.serial, pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass
class Scene:
    """A drill that is being run: the installation, the stream and the worker's way to it."""

    installation: DrillInstallation
    origin: LiveOrigin
    network: TcpProxy
    chance: random.Random


Fault = Callable[[Scene], Awaitable[None]]


async def kill(name: str, scene: Scene) -> None:
    """Kill a process, and start it again after a moment."""
    part = scene.installation.parts[name]
    await asyncio.to_thread(part.kill)
    await asyncio.sleep(scene.chance.uniform(0.0, 3.0))
    # A child ends with the thread that started it; those of this loop last as long as it does.
    await asyncio.to_thread(part.start)


async def cut(name: str, scene: Scene) -> None:
    async with network(name, scene).silent():
        await asyncio.sleep(OUTAGE)


async def refuse(name: str, scene: Scene) -> None:
    async with network(name, scene).refusing():
        await asyncio.sleep(OUTAGE)


async def delay(name: str, scene: Scene) -> None:
    async with network(name, scene).delayed(0.3):
        await asyncio.sleep(OUTAGE)


async def lose(name: str, scene: Scene) -> None:
    async with network(name, scene).losing(0.1):
        await asyncio.sleep(OUTAGE)


def network(name: str, scene: Scene) -> TcpProxy:
    return scene.network if name == "origin" else scene.installation.networks[name]


async def throttle(scene: Scene) -> None:
    async with scene.installation.networks["store"].answering(SLOW_DOWN):
        await asyncio.sleep(OUTAGE)


async def fill_disk(scene: Scene) -> None:
    """Let the worker write no file of more than 64 KiB, as on a disk that is nearly full."""
    worker = scene.installation.parts["worker"]
    assert isinstance(worker, ProcessPart)
    pid = worker.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (_FILE_LIMIT, resource.RLIM_INFINITY))
    await asyncio.sleep(OUTAGE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


async def roll(scene: Scene) -> None:
    """Replace worker and API one after the other, as a deployment does."""
    installation = scene.installation
    replacement = await installation.further_worker("replacement")
    await asyncio.to_thread(installation.parts["worker"].stop)
    await asyncio.to_thread(installation.parts["api"].stop)
    installation.parts["api"].start()
    installation.parts["worker"].start()
    await asyncio.sleep(OUTAGE)
    await asyncio.to_thread(replacement.stop)


async def jump(seconds: int, scene: Scene) -> None:
    """Set the wall clock of the worker, and of nothing else, for a while."""
    installation = scene.installation
    clock, shim = installation.logs / "clock", installation.logs / "shifted_clock.so"
    clock.write_text("0")
    source = Path(__file__).parents[1] / "fakes" / "shifted_clock.c"
    await asyncio.to_thread(
        subprocess.run, ["cc", "-shared", "-fPIC", "-o", str(shim), str(source)], check=True
    )
    worker = installation.parts["worker"]
    assert isinstance(worker, ProcessPart)
    await asyncio.to_thread(worker.stop)
    try:
        jumping = await installation.further_worker(
            "jumping", LD_PRELOAD=str(shim), CLOCK_OFFSET_FILE=str(clock)
        )
        for ahead in (seconds, 0):
            clock.write_text(str(ahead))
            await asyncio.sleep(OUTAGE)
        assert jumping.running(), jumping.last_words()
        await asyncio.to_thread(jumping.stop)
    finally:
        await asyncio.to_thread(worker.start)  # for the drills after this one


async def nothing(_: Scene) -> None:
    """The fault is in the stream, or at its receiver."""


class LyingEndpoint:
    """Answers late, or too late, and refuses or accepts at random, until it becomes honest.

    Attributes:
        accepted: ids of the events that it accepted, also if the sender had given up by then.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._is_honest = False
        self.accepted: set[str] = set()

    def be_honest(self) -> None:
        """Accept everything at once from now on."""
        self._is_honest = True

    async def answer(self, request: Received) -> int:
        """Return the status of an answer."""
        status = 204
        if not self._is_honest:
            await asyncio.sleep(self._chance.choice((0.0, 0.5, 12.0, _TOO_LATE)))
            status = self._chance.choice((200, 302, 429, 500))
        if status < 300:
            self.accepted.add(request.headers["webhook-id"])
        return status


NO_FAULTS: Final = Faults()


@dataclass(frozen=True)
class FaultDrill:
    """What fails.

    Attributes:
        fault: what happens in the middle of the stream.
        faults: of the stream itself.
        may_miss: True if segments may be lost; they are gaps then.
        delivers: True if the drill waits until the endpoint has accepted every event.
    """

    fault: Fault
    faults: Faults = NO_FAULTS
    may_miss: bool = False
    delivers: bool = False


FAULT_DRILLS: Final = {
    **{
        f"kill-{name}": FaultDrill(partial(kill, name))
        for name in ("postgres", "api", "worker", "temporal", "rabbitmq", "redis", "store")
    },
    **{
        f"{how.__name__}-{name}": FaultDrill(partial(how, name))
        for how in (cut, refuse, delay, lose)
        for name in ("origin", "database", "store", "temporal")
    },
    **{
        f"clock-{name}": FaultDrill(partial(jump, seconds))
        for name, seconds in (("forward", 3600), ("back", -3600))
        if shutil.which("cc")
    },
    "throttled-store": FaultDrill(throttle),
    "full-disk": FaultDrill(fill_disk),
    "rolling-restart": FaultDrill(roll),
    "lying-receiver": FaultDrill(nothing, delivers=True),
    "undecodable-segment": FaultDrill(
        nothing, faults=Faults(corrupt=(CorruptSegment(segment=9),)), may_miss=True
    ),
}
SHORT: Final = ("kill-postgres",)


@pytest.fixture(scope="module")
def seeds() -> random.Random:
    return random.Random(SEED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drills")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installation(home: Path, folder: Path) -> AsyncIterator[DrillInstallation]:
    async with drill_installation(home, folder) as installation:
        yield installation


async def until_ready(installation: DrillInstallation) -> None:
    async with asyncio.timeout(LIMIT), httpx.AsyncClient() as client:
        while True:
            with suppress(httpx.HTTPError):
                answer = await client.get(f"{installation.api_url}/readyz")
                if answer.status_code == httpx.codes.OK:
                    return
            await asyncio.sleep(0.2)


async def until_over(tenant: Tenant, stream_id: str) -> dict[str, object]:
    """Wait for the end of a stream, whatever the API answers meanwhile.

    Once a second: each answer is a query to the stream's workflow, which also has to progress.
    """
    async with asyncio.timeout(LIMIT):
        while True:
            with suppress(httpx.HTTPError, TimeoutError):
                stream = await tenant.stream(stream_id)
                if stream.status in TERMINAL:
                    return stream.model_dump(mode="json")
            await asyncio.sleep(1.0)


async def until_everything_agrees(installation: DrillInstallation) -> None:
    """Repeat the audit of all streams so far until nothing is in flight any more."""
    printed = ""
    try:
        async with asyncio.timeout(LIMIT):
            while True:
                agrees, printed = await installation.audit(tenant="drill")
                if agrees:
                    return
                await asyncio.sleep(2.0)
    except TimeoutError:
        pytest.fail(f"after the drill: {printed}")


async def until_everything_is_delivered(tenant: Tenant, endpoint: LyingEndpoint) -> None:
    """Wait until no delivery is pending, and require that the endpoint accepted each event."""
    async with asyncio.timeout(LIMIT):
        while await tenant.deliveries(status="pending"):  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(1.0)
    deliveries = await tenant.deliveries()
    assert {each["status"] for each in deliveries} == {"succeeded"}
    assert {each["event_id"] for each in deliveries} <= endpoint.accepted


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", [name for name in FAULT_DRILLS if ALL or name in SHORT])
async def test_everything_agrees_after_a_fault(
    installation: DrillInstallation, match: Match, seeds: random.Random, name: str
) -> None:
    drill = FAULT_DRILLS[name]
    options = OriginOptions(pace=PACE, window=120, autostart=False, faults=drill.faults)
    await until_ready(installation)
    liar = LyingEndpoint(random.Random(seeds.random()))
    async with (
        receiver(liar.answer) as endpoint,
        Tenant(installation.api_url, installation.api_key) as tenant,
        LiveOrigin(match.video, options) as origin,
        TcpProxy(urlsplit(origin.master_url).port or 0) as network,
    ):
        await tenant.unsubscribe()  # the endpoint of the drill before, which is gone
        await tenant.subscribe(endpoint.url)
        url = urlsplit(origin.master_url)._replace(netloc=f"127.0.0.1:{network.port}")
        stream_id = await tenant.analyze(urlunsplit(url))
        await origin.wait_requested()
        origin.begin()
        await origin.wait_published(seeds.randint(4, 20))
        await drill.fault(Scene(installation, origin, network, seeds))
        stream = await until_over(tenant, stream_id)
        liar.be_honest()
        assert stream["status"] == "completed"
        if not drill.may_miss:
            assert (stream["segments"], stream["missed"]) == (origin.published, 0)
        assert stream["clips"] == stream["highlights"] != 0
        await until_everything_agrees(installation)
        if drill.delivers:
            await until_everything_is_delivered(tenant, liar)
