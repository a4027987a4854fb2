"""All profiles at one moment, with the older versions that running streams still hold.

The profiles as one tenant sees them: the shipped ones with the tenant's overrides laid over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Self

from domain.model import Model
from domain.profiles.documents import (
    MAX_OVERRIDES,
    Documents,
    InvalidProfilesError,
    ProfileOverride,
    ProfileProblem,
    nearest_key,
    resolve_documents,
)
from domain.profiles.matching import NameIndex, ProfileMatch
from domain.profiles.model import DEFAULT_PROFILE, GameProfile

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


@dataclass(frozen=True)
class TenantProfiles:
    """One tenant's profiles, immutable.

    Attributes:
        shipped: the catalogue without overrides.
        catalog: the catalogue with them.
        overrides: what the tenant has stored, by profile id.
        refused: which of them were valid when they were stored and no longer fit the shipped
            profiles, with what is wrong. They are left out, so that a new release never keeps a
            tenant from starting streams.
    """

    shipped: ProfileCatalog
    catalog: ProfileCatalog
    overrides: Mapping[str, ProfileOverride]
    refused: Mapping[str, tuple[ProfileProblem, ...]]

    @classmethod
    def of(cls, shipped: ProfileCatalog, overrides: Iterable[ProfileOverride]) -> Self:
        """Lay overrides (one for each profile, none of them empty) over the shipped profiles."""
        stored = {override.profile_id: override for override in overrides}
        kept, catalog = dict(stored), shipped
        refused: dict[str, tuple[ProfileProblem, ...]] = {}
        while kept:
            try:
                catalog = shipped.with_overrides(kept.values())
                break
            except InvalidProfilesError as error:
                # A problem may show in a shipped profile that inherits from an overridden one;
                # which override it comes from is then unknown, so that none is left in.
                named = {problem.source for problem in error.problems}
                wrong = [o for o in kept.values() if o.source in named] or list(kept.values())
                for override in wrong:
                    del kept[override.profile_id]
                    refused[override.profile_id] = _of_override(error, override)
        return cls(shipped=shipped, catalog=catalog, overrides=stored, refused=refused)

    def with_override(self, override: ProfileOverride) -> Self:
        """Return these with one override more, or in place of the former one.

        Raises:
            InvalidProfilesError: the override is wrong, or makes another profile wrong; or it is
                one too many.
        """
        override.check()
        changed = {**self.overrides, override.profile_id: override}
        if len(changed) > MAX_OVERRIDES:
            words = f"a tenant may change or add at most {MAX_OVERRIDES} profiles: delete another"
            raise InvalidProfilesError([ProfileProblem(source=override.source, words=words)])
        return self._changed(changed, about=override.profile_id)

    def without_override(self, profile_id: str) -> Self:
        """Return these with a profile's shipped rules back, or without a profile of one's own.

        Raises:
            InvalidProfilesError: another override builds upon this one.
        """
        changed = {key: value for key, value in self.overrides.items() if key != profile_id}
        return self._changed(changed, about=profile_id)

    def match(self, text: str) -> ProfileMatch:
        """Find the profile that a text speaks of; notes tell which overrides were left out."""
        notes = tuple(
            f"the override of `{profile_id}` was left out, since it no longer fits the shipped "
            f"profiles: {'; '.join(map(str, problems))}"
            for profile_id, problems in sorted(self.refused.items())
        )
        return self.catalog.match(text).replace(notes=notes)

    def _changed(self, overrides: Mapping[str, ProfileOverride], *, about: str) -> Self:
        """Return these with other overrides; those refused before stay so, but for `about`."""
        refused = {key: value for key, value in self.refused.items() if key != about}
        in_force = [value for key, value in overrides.items() if key not in refused]
        return type(self)(
            shipped=self.shipped,
            catalog=self.shipped.with_overrides(in_force),
            overrides=overrides,
            refused=refused,
        )


def _of_override(
    error: InvalidProfilesError, override: ProfileOverride
) -> tuple[ProfileProblem, ...]:
    own = tuple(problem for problem in error.problems if problem.source == override.source)
    return own or error.problems
