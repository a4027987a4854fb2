"""The local clip store: whole files by name."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.storage.clips import ClipStoreError, LocalClipStore

KEY = "tenant/stream/clip.mp4"


@pytest.fixture
def store(tmp_path: Path) -> LocalClipStore:
    return LocalClipStore(tmp_path / "clips")


def fill(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def content_of(path: Path) -> bytes:
    return path.read_bytes()


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    return fill(tmp_path / "movie.mp4", b"movie")


def files_in(store: LocalClipStore) -> list[Path]:
    return [each for each in store.root.rglob("*") if each.is_file()]


async def test_a_clip_lies_where_its_name_says(store: LocalClipStore, movie: Path) -> None:
    await store.put(KEY, movie)
    assert store.path(KEY) == store.root / "tenant" / "stream" / "clip.mp4"
    assert store.path(KEY).read_bytes() == b"movie"


async def test_the_source_stays_where_it_was(store: LocalClipStore, movie: Path) -> None:
    await store.put(KEY, movie)
    assert content_of(movie) == b"movie"


async def test_putting_again_replaces(store: LocalClipStore, movie: Path) -> None:
    await store.put(KEY, movie)
    fill(movie, b"a better movie")
    await store.put(KEY, movie)
    assert [each.read_bytes() for each in files_in(store)] == [b"a better movie"]


async def test_a_reader_of_the_old_clip_keeps_it_whole(store: LocalClipStore, movie: Path) -> None:
    await store.put(KEY, movie)
    with store.path(KEY).open("rb") as reader:
        fill(movie, b"a better movie")
        await store.put(KEY, movie)
        assert reader.read() == b"movie"


async def test_a_full_disk_leaves_the_old_clip_and_nothing_else(
    store: LocalClipStore, movie: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.put(KEY, movie)

    def fill_up(_source: Path, target: Path) -> None:
        target.write_bytes(b"mov")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fill_up)
    with pytest.raises(OSError, match="No space left"):
        await store.put(KEY, movie)
    assert [each.read_bytes() for each in files_in(store)] == [b"movie"]


async def test_a_clip_is_on_disk_before_it_has_its_name(
    store: LocalClipStore, movie: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened = []
    monkeypatch.setattr(os, "fsync", lambda _file: happened.append("synced"))
    monkeypatch.setattr(Path, "replace", lambda *_: happened.append("renamed"))
    await store.put(KEY, movie)
    assert happened == ["synced", "renamed"]


async def test_a_source_that_is_not_there_leaves_nothing(
    store: LocalClipStore, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        await store.put(KEY, tmp_path / "missing.mp4")
    assert files_in(store) == []


async def test_writers_of_one_clip_do_not_disturb_each_other(
    store: LocalClipStore, tmp_path: Path
) -> None:
    sources = [tmp_path / f"{number}.mp4" for number in range(8)]
    for number, source in enumerate(sources):
        source.write_bytes(bytes([number]) * 100_000)
    await asyncio.gather(*(store.put(KEY, source) for source in sources))
    (left,) = files_in(store)
    assert left.read_bytes() in {source.read_bytes() for source in sources}


async def test_a_deleted_clip_is_gone(store: LocalClipStore, movie: Path) -> None:
    await store.put(KEY, movie)
    await store.delete(KEY)
    assert files_in(store) == []


async def test_what_is_not_there_needs_no_deleting(store: LocalClipStore) -> None:
    await store.delete(KEY)


@pytest.mark.parametrize(
    "key",
    [
        "",
        ".",
        "/etc/passwd",
        "..",
        "../x.mp4",
        "a/../../x.mp4",
        "a/..",
        "a\x00.mp4",
        "//x",
        "a/./../x",
    ],
)
async def test_a_name_that_leads_out_of_the_store_is_refused(
    store: LocalClipStore, movie: Path, key: str
) -> None:
    with pytest.raises(ClipStoreError, match="no name of a clip"):
        store.path(key)
    with pytest.raises(ClipStoreError):
        await store.put(key, movie)
    with pytest.raises(ClipStoreError):
        await store.delete(key)
    assert files_in(store) == []


KILLED_WRITER = (
    "import asyncio, shutil, sys, time; from pathlib import Path\n"
    "from infra.storage.clips import LocalClipStore\n"
    "def stall(source, target):\n"
    "    target.write_bytes(b'half')\n"
    "    print('stalled', flush=True)\n"
    "    time.sleep(60)\n"
    "shutil.copyfile = stall\n"
    "root = Path(sys.argv[1])\n"
    "asyncio.run(LocalClipStore(root).put('a/b.mp4', root))\n"
)


def test_the_partial_file_of_a_killed_writer_is_swept(tmp_path: Path) -> None:
    store = LocalClipStore(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_WRITER, str(tmp_path)], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        (partial,) = files_in(store)
        settled = partial.stat().st_mtime - 60
        os.utime(partial, (settled, settled))
        assert store.sweep() == 0
        writer.kill()
    assert store.sweep() == 1
    assert files_in(store) == []
