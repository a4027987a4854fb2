"""The profiles as one tenant sees them: the shipped ones with the tenant's overrides laid over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from domain.profiles.catalog import ProfileCatalog
from domain.profiles.documents import InvalidProfilesError, ProfileProblem
from domain.profiles.matching import ProfileMatch
from domain.profiles.overrides import MAX_OVERRIDES, ProfileOverride


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
        return self.catalog.match(text).model_copy(update={"notes": notes})

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
