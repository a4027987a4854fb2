"""Polling of one stream's media playlist."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from activities.ingest.reloader import PlaylistReloader
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
from domain.media.segments import VariantPolicy
from infra.media.hls_client import MediaSource
from infra.media.hls_playlist import MissingVariableError, NotAPlaylistError

_log = structlog.get_logger(__name__)


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
        self._url = url
        self._policy = policy
        self._reloader = PlaylistReloader(client, limits=limits, parts=True)
        self._variables: Mapping[str, str] | None = None
        self.media_url = media_url
        self.variant = variant
        self.captions_url = captions_url
        self.audio_url = audio_url

    @property
    def may_choose_again(self) -> bool:
        """True if the media playlist was chosen from a master playlist."""
        return self.media_url is not None and self.media_url != self._url

    @property
    def waits(self) -> bool:
        """True if the server holds the next request back until the playlist changes."""
        return self._reloader.waits

    @property
    def patience(self) -> float:
        """Seconds for which the server may hold a request back."""
        return self._reloader.patience

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
            first = await self._reload(self._url)
            if isinstance(first, MasterPlaylist):
                self.adopt(choose_variant(first.variants, self._policy, master=first), first)
            elif first is not None and first.segments:
                self.media_url, self.variant = self._url, "source"
                return first
            else:
                return first
        try:
            playlist = await self._reload(self.media_url or self._url, since)
        except MissingVariableError:
            # A poller that goes on with a chosen variant has not read the master playlist yet.
            if self._variables is not None or not await self._read_variables():
                raise
            playlist = await self._reload(self.media_url or self._url, since)
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
        master = await self._reloader.read_once(self._url, variables=self.variables)
        if not isinstance(master, MasterPlaylist):
            raise NotAPlaylistError("there is no master playlist any more")
        found = alternatives(master, self._policy, url=self.media_url or "", name=self.variant)
        return master, found

    async def read_variant(self, variant: Variant, master: MasterPlaylist) -> MediaPlaylist:
        """Read another variant's playlist without switching to it; raises as `read` does."""
        self.forget()
        playlist = await self._reloader.read_once(variant.url, variables=master.variables)
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
        self._reloader.forget()

    async def _read_variables(self) -> bool:
        """Read the master playlist's variables; return True if there is a master playlist."""
        self._variables = {}
        first = await self._reloader.read_once(self._url, variables={})
        if not isinstance(first, MasterPlaylist):
            return False
        self._variables = first.variables
        return True

    async def _reload(
        self, url: str, since: int | None = None
    ) -> MasterPlaylist | MediaPlaylist | None:
        return await self._reloader.read(url, variables=self.variables, since=since)
