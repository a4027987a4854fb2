"""Profiles from YAML files, reloaded when a file changes. Problems name file and line."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Final

import structlog
import yaml

from domain.profiles.catalog import ProfileCatalog
from domain.profiles.documents import InvalidProfilesError, Layer, ProfileProblem

SUFFIX: Final = ".yaml"


MAX_BYTES: Final = 256 << 10
"""Bytes of one profile; a larger file is not a profile."""


_TEXT: Final = "tag:yaml.org,2002:str"


_KeyPath = tuple[str | int, ...]


_Lines = dict[_KeyPath, int]


def shipped_directory() -> Path:
    """Return the directory of the profiles that come with the product."""
    return Path(str(resources.files("game_configs")))


def load_shipped_catalog() -> ProfileCatalog:
    """Return the profiles that come with the product.

    Raises:
        InvalidProfilesError: a file is wrong; every problem names its file and line.
    """
    return load_catalog(shipped_directory())


def load_catalog(directory: Path) -> ProfileCatalog:
    """Return the profiles of all `*.yaml` files of a directory; a file's name is the id.

    Raises:
        InvalidProfilesError: with every problem of every file, by file and line.
    """
    documents: dict[str, tuple[Layer, ...]] = {}
    lines: dict[str, _Lines] = {}
    problems: list[ProfileProblem] = []
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        source = f"{directory.name}/{path.name}"
        try:
            data, lines[source] = read_document(path.read_bytes(), source=source)
        except InvalidProfilesError as error:
            problems.extend(error.problems)
        else:
            documents[path.stem] = (Layer(source=source, data=data),)
    if problems:
        raise InvalidProfilesError(problems)
    try:
        return ProfileCatalog.of(documents)
    except InvalidProfilesError as error:
        raise InvalidProfilesError(_with_line(p, lines) for p in error.problems) from None


@lru_cache(maxsize=1)
def _load_version(directory: Path, _fingerprint: _Fingerprint) -> ProfileCatalog:
    """Return the profiles of a directory, read once for all stores of a process."""
    return load_catalog(directory)


def read_document(content: bytes, *, source: str) -> tuple[dict[str, object], _Lines]:
    """Return one file's data, and for each path in it the line (from 1) where it stands.

    Raises:
        InvalidProfilesError: not YAML, not a mapping, or a key is given twice.
    """
    if len(content) > MAX_BYTES:
        words = f"is larger than {MAX_BYTES} bytes, the most that a profile may be"
        raise InvalidProfilesError([ProfileProblem(source=source, words=words)])
    try:
        text = content.decode()
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
        if not isinstance(node, yaml.MappingNode):
            raise InvalidProfilesError(
                [ProfileProblem(source=source, line=1, words="must be a mapping of keys to values")]
            )
        data = yaml.load(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidProfilesError([_not_yaml(error, source)]) from None
    reading = _Reading(source)
    reading.walk(node, ())
    if reading.problems:
        raise InvalidProfilesError(reading.problems)
    return data, reading.lines


class _Reading:
    """One pass over a document's nodes: where everything stands, and what YAML lets pass."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.lines: _Lines = {}
        self.problems: list[ProfileProblem] = []
        self._seen: set[int] = set()

    def walk(self, node: yaml.Node, path: _KeyPath) -> None:
        if id(node) in self._seen:
            self._refuse(path, node, "YAML anchors and aliases are not used in profiles; write out")
            return
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                self._walk_key(key, value, path)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self.lines[*path, index] = value.start_mark.line + 1
                self.walk(value, (*path, index))

    def _walk_key(self, key: yaml.Node, value: yaml.Node, path: _KeyPath) -> None:
        below = (*path, str(key.value))
        if key.tag != _TEXT:
            self._refuse(below, key, "keys are text: put this one in quotes")
        elif below in self.lines:
            self._refuse(below, key, f"is given twice, first on line {self.lines[below]}")
        else:
            self.lines[below] = key.start_mark.line + 1
            self.walk(value, below)

    def _refuse(self, path: _KeyPath, node: yaml.Node, words: str) -> None:
        line = node.start_mark.line + 1
        self.problems.append(ProfileProblem(source=self.source, path=path, words=words, line=line))


def _not_yaml(error: Exception, source: str) -> ProfileProblem:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        words = f"is not valid YAML: {error.problem}"
        return ProfileProblem(source=source, words=words, line=error.problem_mark.line + 1)
    return ProfileProblem(source=source, words=f"is not valid YAML: {error}")


def _with_line(problem: ProfileProblem, lines: dict[str, _Lines]) -> ProfileProblem:
    """Add the line of the problem's path, or of the nearest thing around it."""
    known = lines.get(problem.source, {})
    for length in range(len(problem.path), 0, -1):
        if problem.path[:length] in known:
            return problem.model_copy(update={"line": known[problem.path[:length]]})
    return problem.model_copy(update={"line": 1}) if known else problem


_log = structlog.get_logger(__name__)


CHECK_INTERVAL: Final = 2.0
"""Seconds between checks of the files; a check costs one `stat` for each of some 25 files."""


_Fingerprint = frozenset[tuple[str, int, int]]


class ProfileStore:
    """The current catalogue of a directory; safe to share between threads.

    A change takes effect as a whole or not at all: while any file is wrong the former catalogue
    stays in use and the reason is logged once. Versions that were current are kept until a restart;
    what a stream was started with is kept beyond it by `app.services.profiles`.
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
        self._catalog = _load_version(self._directory, self._seen)
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
            catalog = _load_version(self._directory, found)
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
