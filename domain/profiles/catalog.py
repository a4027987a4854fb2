"""Catalogs of game profiles: the shipped ones, and those of a tenant with its overrides."""

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
    """There is no profile with that id."""

    code: Final = "profile_unknown"


class PinnedProfile(Model):
    """The profile for a stream that pinned a version; `note` explains a substitute.

    `note` is empty if the pinned version was found.
    """

    profile: GameProfile
    note: str = ""


@dataclass(frozen=True)
class ProfileCatalog:
    """An immutable set of profiles, with older versions that running streams still use.

    Build it with `of` or, from files, in infra.
    """

    documents: Documents
    profiles: Mapping[str, GameProfile]
    older: Mapping[str, tuple[GameProfile, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, documents: Documents) -> Self:
        """Resolve documents into a catalog.

        Raises:
            InvalidProfilesError: with all problems of all documents.
        """
        return cls(documents=documents, profiles=resolve_documents(documents))

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all current profiles, sorted."""
        return tuple(sorted(self.profiles))

    def get(self, profile_id: str, version: str | None = None) -> GameProfile:
        """Return the current version of a profile, or the pinned one as `pinned` finds it.

        Raises:
            UnknownProfileError: no version was given and there is no such profile.
        """
        if version is not None:
            return self.pinned(profile_id, version).profile
        if profile_id not in self.profiles:
            raise UnknownProfileError(
                f"there is no profile `{profile_id}`; {nearest_key(profile_id, self.profiles)}"
            )
        return self.profiles[profile_id]

    def pinned(self, profile_id: str, version: str) -> PinnedProfile:
        """Return the pinned version, or the best substitute, so that a stream can continue.

        If the version is unknown, it is the profile's current version; if the profile no longer
        exists, it is `default`. The note states this.
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
        """Find the profile that `text` (a game, league, team or title) refers to."""
        return self._index.match(text)

    def with_overrides(self, overrides: Iterable[ProfileOverride]) -> ProfileCatalog:
        """Return this catalog with a tenant's overrides applied.

        Older versions and the versions without the overrides remain known.

        Raises:
            InvalidProfilesError: an override is invalid; the problems name it.
        """
        documents = dict(self.documents)
        for override in sorted(overrides, key=lambda o: (o.profile_id, o.revision)):
            shipped = self.documents.get(override.profile_id, ())
            documents[override.profile_id] = (*shipped, override.layer())
        return ProfileCatalog.of(documents).succeeding(self)

    def succeeding(self, previous: ProfileCatalog) -> ProfileCatalog:
        """Return this catalog with the versions of `previous` still known."""
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
    """Profiles of one tenant, immutable.

    Attributes:
        shipped: the catalog without overrides.
        catalog: the catalog with overrides.
        overrides: the tenant's stored overrides, by profile id.
        refused: overrides that were valid when stored and no longer fit the shipped profiles, with
            their problems. They are ignored, so that a new release never prevents a tenant from
            starting streams.
    """

    shipped: ProfileCatalog
    catalog: ProfileCatalog
    overrides: Mapping[str, ProfileOverride]
    refused: Mapping[str, tuple[ProfileProblem, ...]]

    @classmethod
    def of(cls, shipped: ProfileCatalog, overrides: Iterable[ProfileOverride]) -> Self:
        """Apply overrides (at most one per profile, none of them empty) to the shipped profiles."""
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
        """Return the profiles with one override added or replaced.

        Raises:
            InvalidProfilesError: the override is invalid, makes another profile invalid, or exceeds
                the maximum number.
        """
        override.check()
        changed = {**self.overrides, override.profile_id: override}
        if len(changed) > MAX_OVERRIDES:
            words = f"a tenant may change or add at most {MAX_OVERRIDES} profiles: delete another"
            raise InvalidProfilesError([ProfileProblem(source=override.source, words=words)])
        return self._changed(changed, about=override.profile_id)

    def without_override(self, profile_id: str) -> Self:
        """Return the profiles without the override of a profile.

        Raises:
            InvalidProfilesError: another override depends on this one.
        """
        changed = {key: value for key, value in self.overrides.items() if key != profile_id}
        return self._changed(changed, about=profile_id)

    def match(self, text: str) -> ProfileMatch:
        """Find the profile that a text refers to; notes name the ignored overrides."""
        notes = tuple(
            f"the override of `{profile_id}` was left out, since it no longer fits the shipped "
            f"profiles: {'; '.join(map(str, problems))}"
            for profile_id, problems in sorted(self.refused.items())
        )
        return self.catalog.match(text).replace(notes=notes)

    def _changed(self, overrides: Mapping[str, ProfileOverride], *, about: str) -> Self:
        """Return the profiles with other overrides; refused ones stay refused, except `about`."""
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
