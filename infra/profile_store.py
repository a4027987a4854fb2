"""Profiles that follow their files: re-read when they change, never half-changed, never lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from domain.profile_catalog import ProfileCatalog
from domain.profile_problem import InvalidProfilesError
from infra.profile_loader import SUFFIX, load_catalog, shipped_directory

_log = structlog.get_logger(__name__)

CHECK_INTERVAL: Final = 2.0
"""Seconds between looks at the files; a look costs one `stat` for each of some 25 files."""

_Fingerprint = frozenset[tuple[str, int, int]]


class ProfileStore:
    """The current catalogue of a directory; safe to share between threads.

    A change takes effect as a whole or not at all: while any file is wrong the former catalogue
    stays in use and the log says why, once. Versions that were current stay known until a restart;
    what a stream was started with is kept beyond it by `infra.pinned_profiles`.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        check_interval: float = CHECK_INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Load the profiles of `directory` (the shipped ones by default).

        Args:
            directory: where the `*.yaml` files are.
            check_interval: seconds during which the files are not looked at again.
            clock: seconds from any origin.

        Raises:
            InvalidProfilesError: there is nothing valid to begin with.
        """
        self._directory = directory or shipped_directory()
        self._check_interval = check_interval
        self._clock = clock
        self._lock = threading.Lock()
        self._seen = self._fingerprint()
        self._catalog = load_catalog(self._directory)
        self._next_check = clock() + check_interval

    @property
    def catalog(self) -> ProfileCatalog:
        """The current catalogue; files that changed since the last look are read first."""
        with self._lock:
            if self._clock() >= self._next_check:
                self._reload_if_changed()
                self._next_check = self._clock() + self._check_interval
            return self._catalog

    def _reload_if_changed(self) -> None:
        found = self._fingerprint()
        if found == self._seen:
            return
        try:
            catalog = load_catalog(self._directory)
        except (InvalidProfilesError, OSError) as error:
            _log.error(
                "profiles_reload_refused",
                directory=str(self._directory),
                problems=str(error).splitlines(),
                advice="correct the files; the former profiles stay in use until then",
            )
        else:
            changed = sorted(
                profile_id
                for profile_id in {*catalog.profiles, *self._catalog.profiles}
                if catalog.profiles.get(profile_id) != self._catalog.profiles.get(profile_id)
            )
            self._catalog = catalog.succeeding(self._catalog)
            _log.info("profiles_reloaded", changed=changed)
        self._seen = found

    def _fingerprint(self) -> _Fingerprint:
        """Return names, times of change and sizes; taken before reading, so no change is missed."""
        found = set()
        for path in self._directory.glob(f"*{SUFFIX}"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found.add((path.name, status.st_mtime_ns, status.st_size))
        return frozenset(found)
