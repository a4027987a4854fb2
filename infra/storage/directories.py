"""What a store in a directory of this machine holds."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from domain.media.segments import StoredObject

_OF_A_STREAM: Final = 3
"""Parts that the key of an object of a stream has at least: tenant, stream, name."""


def stored_objects(root: Path, prefix: str = "") -> Sequence[StoredObject]:
    """Return the objects of streams (`{tenant}/{stream}/…`) below a folder of the store, sorted."""
    now = time.time()
    found = []
    for parent, _, names in os.walk(root / prefix):
        for name in names:
            file = Path(parent) / name
            key = file.relative_to(root).as_posix()
            if key.startswith(".") or len(key.split("/")) < _OF_A_STREAM:
                continue
            with suppress(FileNotFoundError):  # deleted meanwhile
                state = file.stat()
                found.append(StoredObject.at(key, state.st_size, now - state.st_mtime))
    return sorted(found, key=lambda each: each.key)


def folder_names(directory: Path) -> Sequence[str]:
    """Return the names of the folders in a directory, sorted; none if it does not exist."""
    with suppress(FileNotFoundError):
        return sorted(each.name for each in directory.iterdir() if each.is_dir())
    return ()
