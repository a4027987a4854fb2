"""Finds missed starts and ends by comparing 100ms's list of live streams with our beams.

100ms's replay API does not cover HLS events, so the list (`GET /v2/live-streams`) is the only other
source. The `id` of a listed stream is the job's according to older documents, and the beam's
according to some clients; here it may be either. If an open beam of ours is not in the list at all,
the ids may be different ones again. Then nothing is started in its session, and a missed end is
left to the playlist: one that stalls ends its stream as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from domain.hms.effects import BeamRef, EndKind, EndStream, StartStream, beam_key
from domain.hms.events import Identifier, Moment, Url, Words
from domain.model import Model

RUNNING: Final = "running"
_ENDED: Final = {
    "stopping": EndKind.STOPPED,
    "post_processing": EndKind.STOPPED,
    "completed": EndKind.STOPPED,
    "failed": EndKind.FAILED,
}

GRACE: Final = timedelta(seconds=30)
"""How long a webhook may take before it counts as missed: 100ms retries for 14 s."""


class Playback(Model):
    """Playback address of a live stream."""

    url: Url = None


def _playback(value: object) -> object:
    return value if isinstance(value, dict | Playback) else {}


class RemoteStream(Model):
    """A live stream as 100ms lists it."""

    id: Identifier = None
    room_id: Identifier = None
    session_id: Identifier = None
    status: Words = None
    playback: Annotated[Playback, BeforeValidator(_playback)] = Field(default=Playback())
    started_at: Moment = None
    stopped_at: Moment = None

    @property
    def ref(self) -> BeamRef | None:
        """Return the beam, or None without an id."""
        if self.id is None:
            return None
        return BeamRef(
            key=beam_key(self.id),
            room_id=self.room_id,
            session_id=self.session_id,
            job_id=self.id,
        )


class KnownBeam(Model):
    """A beam of ours, and whether a stream follows it."""

    ref: BeamRef
    is_running: bool

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys by which the list may name it."""
        listed = self.ref.listed_key
        return (self.ref.key,) if listed is None else (self.ref.key, listed)


Repair = StartStream | EndStream


def repairs(
    remote: Sequence[RemoteStream], known: Iterable[KnownBeam], *, now: datetime
) -> tuple[Repair, ...]:
    """Return the starts and ends that make our streams match 100ms's list.

    Args:
        remote: 100ms's list, the newest streams first; need not be complete.
        known: our beams, all that run and those lately seen.
        now: the time at which the list was asked for.
    """
    ours = {each.ref.key: each for each in known}
    names = {key for each in ours.values() for key in each.keys}
    listed = {each.ref.key: each for each in remote if each.ref is not None}
    running = [(each, _listed_as(each, listed)) for each in ours.values() if each.is_running]
    doubtful = {each.ref.session_id for each, found in running if found is None}
    starts = [
        start
        for key, each in listed.items()
        if key not in names
        and (each.session_id is None or each.session_id not in doubtful)
        and (start := _missed_start(each, now)) is not None
    ]
    ends = [
        end
        for each, found in running
        if found is not None and (end := _missed_end(each, found, now)) is not None
    ]
    return (*ends, *starts)


def _listed_as(ours: KnownBeam, listed: Mapping[str, RemoteStream]) -> RemoteStream | None:
    return next((listed[key] for key in ours.keys if key in listed), None)


def _missed_start(remote: RemoteStream, now: datetime) -> StartStream | None:
    ref = remote.ref
    if ref is None or remote.status != RUNNING or not remote.playback.url:
        return None
    if remote.started_at is None or now - remote.started_at < GRACE:
        return None
    return StartStream(beam=ref, url=remote.playback.url, started_at=remote.started_at)


def _missed_end(ours: KnownBeam, remote: RemoteStream, now: datetime) -> EndStream | None:
    how = _ENDED.get(remote.status or "")
    if how is None or (remote.stopped_at is not None and now - remote.stopped_at < GRACE):
        return None
    return EndStream(beam=ours.ref, how=how, message=f"100ms lists the stream as {remote.status}")


def repair_id(repair: Repair) -> str:
    """Return the event id of a repair. Deterministic, so each repair is made once."""
    return f"reconcile:{repair.kind}:{repair.beam.key}"
