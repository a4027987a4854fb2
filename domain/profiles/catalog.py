"""All profiles at one moment, with the older versions that running streams still hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Self

from domain.model import Model
from domain.profiles.documents import Documents, nearest_key, resolve_documents
from domain.profiles.matching import NameIndex, ProfileMatch
from domain.profiles.model import DEFAULT_PROFILE, GameProfile
from domain.profiles.overrides import ProfileOverride

_KEPT_VERSIONS: Final = 16
"""Older versions kept of each profile; more reloads than this in a stream's life are unlikely."""


class UnknownProfileError(LookupError):
    """There is no profile of that id."""

    code: Final = "profile_unknown"


class PinnedProfile(Model):
    """The profile to use for a stream that pinned a version, and, if it is another, why.

    `note` is empty when the pinned version was found.
    """

    profile: GameProfile
    note: str = ""


@dataclass(frozen=True)
class ProfileCatalog:
    """An immutable set of profiles; build it with `of` or, from files, in infra."""

    documents: Documents
    profiles: Mapping[str, GameProfile]
    older: Mapping[str, tuple[GameProfile, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, documents: Documents) -> Self:
        """Resolve documents into a catalogue.

        Raises:
            InvalidProfilesError: with everything wrong in any document.
        """
        return cls(documents=documents, profiles=resolve_documents(documents))

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all current profiles, sorted."""
        return tuple(sorted(self.profiles))

    def get(self, profile_id: str, version: str | None = None) -> GameProfile:
        """Return a profile: its current version, or the pinned one as `pinned` finds it.

        Raises:
            UnknownProfileError: no version was asked for and there is no such profile.
        """
        if version is not None:
            return self.pinned(profile_id, version).profile
        if profile_id not in self.profiles:
            raise UnknownProfileError(
                f"there is no profile `{profile_id}`; {nearest_key(profile_id, self.profiles)}"
            )
        return self.profiles[profile_id]

    def pinned(self, profile_id: str, version: str) -> PinnedProfile:
        """Return the pinned version, else the nearest there is, so that a stream can go on.

        A version that is no longer known gives the profile's current version, and a profile that
        is gone gives `default`; the note says so.
        """
        current = self.profiles.get(profile_id)
        known = self.older.get(profile_id, ())
        for profile in (*known, *([current] if current else [])):
            if profile.version == version:
                return PinnedProfile(profile=profile)
        if current is not None:
            return PinnedProfile(
                profile=current,
                note=f"version {version} of profile `{profile_id}` is no longer known; "
                f"using its current version {current.version}",
            )
        return PinnedProfile(
            profile=self.profiles[DEFAULT_PROFILE],
            note=f"profile `{profile_id}` no longer exists; using `{DEFAULT_PROFILE}`",
        )

    def match(self, text: str) -> ProfileMatch:
        """Find the profile that `text` (a game, league, team or title) speaks of."""
        return self._index.match(text)

    def with_overrides(self, overrides: Iterable[ProfileOverride]) -> ProfileCatalog:
        """Return this catalogue as one tenant sees it, with its overrides laid over.

        The older versions stay known, and so do the versions without the overrides.

        Raises:
            InvalidProfilesError: an override is wrong; the problems name it.
        """
        documents = dict(self.documents)
        for override in sorted(overrides, key=lambda o: (o.profile_id, o.revision)):
            shipped = self.documents.get(override.profile_id, ())
            documents[override.profile_id] = (*shipped, override.layer())
        return ProfileCatalog.of(documents).succeeding(self)

    def succeeding(self, previous: ProfileCatalog) -> ProfileCatalog:
        """Return this catalogue with the versions of `previous` still known."""
        older: dict[str, tuple[GameProfile, ...]] = {}
        for profile_id in {*previous.older, *previous.profiles}:
            known = previous.older.get(profile_id, ())
            last, now = previous.profiles.get(profile_id), self.profiles.get(profile_id)
            kept = {p.version: p for p in (*known, *([last] if last else []))}
            if now is not None:
                kept.pop(now.version, None)
            older[profile_id] = tuple(kept.values())[-_KEPT_VERSIONS:]
        return ProfileCatalog(documents=self.documents, profiles=self.profiles, older=older)

    @cached_property
    def _index(self) -> NameIndex:
        return NameIndex(self.profiles.values())
