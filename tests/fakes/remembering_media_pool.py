"""A pool of media processes that does the same work on the same bytes once."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple, cast

from pydantic import BaseModel

from infra.media.pool import MediaPool

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class RememberingMediaPool(MediaPool):
    """Runs a task in a real child process; the same task again gets the result of the first.

    Tasks are the same when their function, the bytes of their files and their other arguments are.
    Of an argument that names a file which the task writes, the bytes written are kept.
    """

    def __init__(self) -> None:
        super().__init__(processes=1, memory_bytes=2 << 30, cpu_seconds=20, timeout=30)
        self._results: dict[str, tuple[Any, dict[int, bytes]]] = {}

    async def run(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run `fn(*args)` in a child, unless it ran before."""
        key = _digest((fn.__qualname__, args))
        given: Sequence[object] = cast("Sequence[object]", args)
        targets = {
            number: each
            for number, each in enumerate(given)
            if isinstance(each, Path) and not each.exists()
        }
        if key not in self._results:
            result = await super().run(fn, *args)
            written = {number: path.read_bytes() for number, path in targets.items()}
            self._results[key] = result, written
        result, written = self._results[key]
        for number, content in written.items():
            targets[number].write_bytes(content)
        copied: T = pickle.loads(pickle.dumps(result))  # noqa: S301 a result of ours
        return copied


def _digest(value: object) -> str:
    return hashlib.sha256(repr(_content(value)).encode()).hexdigest()


def _content(value: object) -> object:
    """Return `value` with the bytes of files in place of their paths."""
    if isinstance(value, Path):
        return value.read_bytes() if value.exists() else None
    if isinstance(value, tuple):
        return tuple(_content(each) for each in value)
    if isinstance(value, BaseModel):
        return tuple(_content(each) for _name, each in value)
    return value
