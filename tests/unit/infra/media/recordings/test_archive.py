"""Archives of recordings: read where they are good, refused where they could do harm."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from domain.ingest.playlist import ByteRange, Resource
from infra.media.hls_client import DamagedError, NotFoundError, TooLargeError, Validators
from infra.media.recordings import archive as recording_archive
from infra.media.recordings.archive import RecordingArchive, UnusableArchiveError, is_archive

ADDRESS = "https://storage.example.com/recording.zip?X-Amz-Signature=secret"
MASTER = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n720p/index.m3u8\n"
RECORDING = {
    "rec/master.m3u8": MASTER,
    "rec/720p/index.m3u8": "#EXTM3U\n",
    "rec/720p/0.ts": "media",
}


def archive_of(
    folder: Path, entries: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED
) -> Path:
    path = folder / "recording.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


async def read(archive: RecordingArchive, name: str, part: ByteRange | None = None) -> bytes:
    resource = Resource(url=archive.url_of(name), byte_range=part)
    return await archive.read(resource, max_bytes=100, seconds=10.0)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (ADDRESS, True),
        ("https://storage.example.com/a/REC.ZIP#rec/index.m3u8", True),
        ("https://storage.example.com/master.m3u8?name=recording.zip", False),
    ],
)
def test_an_archive_is_known_by_the_path_of_its_address(url: str, *, expected: bool) -> None:
    assert is_archive(url) is expected


async def test_its_outermost_playlist_is_where_to_begin(tmp_path: Path) -> None:
    with RecordingArchive(archive_of(tmp_path, RECORDING), address=ADDRESS) as archive:
        assert archive.name_of(archive.entrance) == "rec/master.m3u8"
        answer = await archive.playlist(
            archive.entrance, max_bytes=1000, seconds=10.0, validators=Validators()
        )
    assert (answer.text, "secret" in answer.url) == (MASTER, False)


async def test_an_entry_is_read_whole_in_part_or_behind_a_prefix(tmp_path: Path) -> None:
    with RecordingArchive(archive_of(tmp_path, RECORDING), address=ADDRESS) as archive:
        assert await read(archive, "rec/720p/0.ts") == b"media"
        assert await read(archive, "rec/720p/0.ts", ByteRange(offset=1, length=3)) == b"edi"
        resource, file = Resource(url=archive.url_of("rec/720p/0.ts")), tmp_path / "segment"
        size = await archive.download(resource, file, max_bytes=5, seconds=10.0, prefix=b"init ")
        assert (size, file.read_bytes()) == (10, b"init media")


async def test_it_can_be_read_when_its_file_has_been_deleted(tmp_path: Path) -> None:
    file = archive_of(tmp_path, RECORDING)
    with RecordingArchive(file, address=ADDRESS) as archive:
        file.unlink()
        assert await read(archive, "rec/720p/0.ts") == b"media"


async def test_nothing_is_looked_for_outside(tmp_path: Path) -> None:
    with RecordingArchive(archive_of(tmp_path, RECORDING), address=ADDRESS) as archive:
        with pytest.raises(NotFoundError, match="not in the archive"):
            await read(archive, "../../etc/passwd")
        with pytest.raises(NotFoundError, match="leads out"):
            await archive.read(Resource(url="http://10.0.0.1/0.ts"), max_bytes=9, seconds=9.0)


async def test_an_entry_is_read_as_far_as_it_may_be_large(tmp_path: Path) -> None:
    with RecordingArchive(archive_of(tmp_path, RECORDING), address=ADDRESS) as archive:
        resource, file = Resource(url=archive.url_of("rec/720p/0.ts")), tmp_path / "segment"
        with pytest.raises(TooLargeError):
            await archive.download(resource, file, max_bytes=4, seconds=10.0)
    assert not file.exists()


async def test_a_damaged_entry_is_noticed(tmp_path: Path) -> None:
    file = archive_of(tmp_path, RECORDING, zipfile.ZIP_STORED)
    file.write_bytes(file.read_bytes().replace(b"media", b"mEdia", 1))
    with RecordingArchive(file, address=ADDRESS) as archive, pytest.raises(DamagedError):
        await read(archive, "rec/720p/0.ts")


@pytest.mark.parametrize(
    "name", ["../master.m3u8", "/etc/cron.d/x", "a/../../x", "C:\\x", "..\\..\\x", "x\x00.ts"]
)
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    file = archive_of(tmp_path, {**RECORDING, "a" * len(name): "x"})
    file.write_bytes(file.read_bytes().replace(b"a" * len(name), name.encode()))
    with pytest.raises(UnusableArchiveError, match="leads out of it"):
        RecordingArchive(file, address=ADDRESS)


def test_what_unpacks_to_far_more_than_it_is_is_refused(tmp_path: Path) -> None:
    file = archive_of(tmp_path, {**RECORDING, "bomb.ts": bytes(1 << 20)})
    with pytest.raises(UnusableArchiveError, match="10 times its size"):
        RecordingArchive(file, address=ADDRESS)


async def test_an_entry_gives_no_more_than_it_declares(tmp_path: Path) -> None:
    """A bomb that lies about its size: 1 MiB of zeros that is said to be a kilobyte."""
    file = archive_of(tmp_path, {**RECORDING, "bomb.ts": bytes(1 << 20)})
    true, said = struct.pack("<L", 1 << 20), struct.pack("<L", 90)
    file.write_bytes(file.read_bytes().replace(true, said))
    with RecordingArchive(file, address=ADDRESS) as archive, pytest.raises(DamagedError):
        await read(archive, "bomb.ts")


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_archive, "MAX_ENTRIES", 2)
    with pytest.raises(UnusableArchiveError, match="over 2 entries"):
        RecordingArchive(archive_of(tmp_path, RECORDING), address=ADDRESS)


def test_a_directory_that_is_said_to_be_huge_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "recording.zip"
    size = recording_archive.MAX_DIRECTORY_BYTES + 1
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, size, 0, 0)
    file.write_bytes(bytes(size) + end)
    with pytest.raises(UnusableArchiveError, match="its directory has over 8 MiB"):
        RecordingArchive(file, address=ADDRESS)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_no_recorder_uses_are_refused(tmp_path: Path, method: int) -> None:
    with pytest.raises(UnusableArchiveError, match="neither stored nor deflated"):
        RecordingArchive(archive_of(tmp_path, RECORDING, method), address=ADDRESS)


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    file = archive_of(tmp_path, RECORDING)
    content = bytearray(file.read_bytes())
    flags = content.index(b"PK\x01\x02") + 8  # of the first entry of the directory
    content[flags] |= 1
    file.write_bytes(content)
    with pytest.raises(UnusableArchiveError, match="no password"):
        RecordingArchive(file, address=ADDRESS)


def test_an_archive_without_a_playlist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableArchiveError, match="no playlist"):
        RecordingArchive(archive_of(tmp_path, {"match.mp4": "media"}), address=ADDRESS)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"<html>", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "recording.zip"
    file.write_bytes(content)
    with pytest.raises(UnusableArchiveError):
        RecordingArchive(file, address=ADDRESS)


def test_an_archive_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    file = archive_of(tmp_path, RECORDING)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnusableArchiveError):
        RecordingArchive(file, address=ADDRESS)
