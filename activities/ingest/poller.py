"""Polling of one stream's media playlist."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

import structlog

from domain.ingest.messages import IngestLimits
from domain.ingest.playlist import (
    MasterPlaylist,
    MediaPlaylist,
    Variant,
    alternatives,
    captions,
    choose_variant,
    separate_audio,
)
from domain.ingest.retries import playlist_timing
from domain.media.segments import VariantPolicy
from infra.media.hls_client import MediaSource, Validators
from infra.media.hls_playlist import MissingVariableError, NotAPlaylistError, parse_playlist

_log = structlog.get_logger(__name__)

_PARSED_INLINE: Final = 1 << 15  # characters; beyond it parsing would hold up other streams


class PlaylistPoller:
    """Reads the media playlist of a URL, choosing a variant first if it is a master playlist.

    Args:
        client: source of the playlists.
        url: of a master or a media playlist.
        limits: bounds on each request.
        policy: preferences for the choice of a variant.
        media_url: media playlist that was chosen before, if any.
        variant: its name.
        captions_url: its caption playlist.
        audio_url: its playlist of separate audio.
    """

    def __init__(
        self,
        client: MediaSource,
        *,
        url: str,
        limits: IngestLimits,
        policy: VariantPolicy,
        media_url: str | None,
        variant: str | None,
        captions_url: str | None = None,
        audio_url: str | None = None,
    ) -> None:
        self._client = client
        self._url = url
        self._limits = limits
        self._policy = policy
        self._validators = Validators()
        self._target_duration: float | None = None
        self._text = ""
        self._variables: Mapping[str, str] | None = None
        self._logged: set[str] = set()
        self.media_url = media_url
        self.variant = variant
        self.captions_url = captions_url
        self.audio_url = audio_url

    @property
    def may_choose_again(self) -> bool:
        """True if the media playlist was chosen from a master playlist."""
        return self.media_url is not None and self.media_url != self._url

    @property
    def variables(self) -> Mapping[str, str]:
        """Variables of the master playlist (EXT-X-DEFINE), for its media playlists."""
        return self._variables or {}

    async def read(self, *, since: int | None = None) -> MediaPlaylist | None:
        """Return the current media playlist; None if it has not changed.

        Args:
            since: media sequence before which segments may be left out.

        Raises:
            FetchError: the playlist could not be read this time.
            NotAPlaylistError: something else was there.
            UrlForbiddenError: the guard refuses the URL.
        """
        if self.media_url is None:
            first = await self._parsed(self._url)
            if isinstance(first, MasterPlaylist):
                self.adopt(choose_variant(first.variants, self._policy, master=first), first)
            elif first is not None and first.segments:
                self.media_url, self.variant = self._url, "source"
                return first
            else:
                return first
        try:
            playlist = await self._parsed(self.media_url or self._url, since)
        except MissingVariableError:
            # A poller that goes on with a chosen variant has not read the master playlist yet.
            if self._variables is not None or not await self._read_variables():
                raise
            playlist = await self._parsed(self.media_url or self._url, since)
        if isinstance(playlist, MasterPlaylist):
            raise NotAPlaylistError("the variant chosen is a master playlist itself")
        return playlist

    async def read_alternatives(self) -> tuple[MasterPlaylist, tuple[Variant, ...]]:
        """Read the master playlist again; return it with the variants to try, in order.

        Raises:
            FetchError: the playlist could not be read this time.
            NotAPlaylistError: something else was there, or no master playlist.
            UrlForbiddenError: the guard refuses the URL.
        """
        self.forget()
        master = await self._parsed(self._url)
        self.forget()
        if not isinstance(master, MasterPlaylist):
            raise NotAPlaylistError("there is no master playlist any more")
        found = alternatives(master, self._policy, url=self.media_url or "", name=self.variant)
        return master, found

    async def read_variant(self, variant: Variant, master: MasterPlaylist) -> MediaPlaylist:
        """Read another variant's playlist without switching to it; raises as `read` does."""
        self.forget()
        known, self._variables = self._variables, master.variables
        try:
            playlist = await self._parsed(variant.url)
        finally:
            self._variables = known
            self.forget()
        if not isinstance(playlist, MediaPlaylist):
            raise NotAPlaylistError("the variant is a master playlist itself")
        return playlist

    def adopt(self, variant: Variant, master: MasterPlaylist) -> None:
        """Switch to a variant from the next read on."""
        audio = separate_audio(master, variant)
        subtitles = captions(master, variant)
        _log.info(
            "variant_chosen",
            variant=variant.name,
            before=self.variant,
            offered=len(master.variants),
            separate_audio=audio is not None,
        )
        self.media_url, self.variant = variant.url, variant.name
        self.audio_url = audio.url if audio else None
        self.captions_url = subtitles.url if subtitles else None
        self._variables = master.variables
        self.forget()

    def forget(self) -> None:
        """Make the next read unconditional."""
        self._validators = Validators()
        self._text = ""

    async def _read_variables(self) -> bool:
        """Read the master playlist's variables; return True if there is a master playlist."""
        self._variables = {}
        self.forget()
        first = await self._parsed(self._url)
        self.forget()
        if not isinstance(first, MasterPlaylist):
            return False
        self._variables = first.variables
        return True

    async def _parsed(
        self, url: str, since: int | None = None
    ) -> MasterPlaylist | MediaPlaylist | None:
        timing = playlist_timing(
            self._target_duration, request_timeout=self._limits.request_timeout
        )
        answer = await self._client.playlist(
            url,
            max_bytes=self._limits.max_playlist_bytes,
            seconds=timing.total,
            idle=timing.idle,
            validators=self._validators,
        )
        self._validators = answer.validators
        text = answer.text
        if text is None or text == self._text:
            return None  # not every origin answers 304
        self._text = text
        if not text.strip():
            return MediaPlaylist(target_duration=0)
        parse = partial(
            parse_playlist,
            text,
            url=answer.url,
            requested_url=url,
            variables=self.variables,
            since=since,
        )
        inline = len(text) <= _PARSED_INLINE
        playlist = parse() if inline else await asyncio.to_thread(parse)
        self._log_dropped(playlist.dropped)
        if isinstance(playlist, MediaPlaylist):
            self._target_duration = playlist.target_duration
        return playlist

    def _log_dropped(self, dropped: Mapping[str, int]) -> None:
        """Log unparsed lines, each kind once per stream."""
        new = {kind: count for kind, count in dropped.items() if kind not in self._logged}
        if new:
            self._logged |= new.keys()
            _log.info("playlist_lines_dropped", counts=new)
