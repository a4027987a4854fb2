"""Recordings that are one media file: cut into segments without encoding, and read like a playlist.

The file is a stranger's: ffmpeg reads it with limits, may open no other file or address, and takes
no format that refers to others.
"""

from __future__ import annotations

import asyncio
import weakref
from pathlib import Path
from typing import IO, Final, Self
from urllib.parse import urlsplit

from domain.ingest.playlist import Resource
from infra.media.ffmpeg import FfmpegError, FfmpegLimits, run_ffmpeg
from infra.media.hls_client import DamagedError, FetchError, NotFoundError, TooLargeError
from infra.media.recordings.local_recording import LocalRecording

SUFFIXES: Final = frozenset(
    {".avi", ".flv", ".m2ts", ".m4a", ".m4v", ".mkv", ".mov", ".mp3", ".mp4", ".mpg", ".mts"}
    | {".ogg", ".ts", ".wav", ".webm"}
)
"""Endings of addresses that name a media file."""

_FORMATS: Final = "mov,mp4,m4a,matroska,webm,mpegts,mpeg,flv,avi,ogg,mp3,wav"
"""Demuxers that read one file only; a playlist or a list of files is refused."""

_PLAYLIST: Final = "recording.m3u8"
_MEDIA: Final = "recording.mp4"
_SEGMENT_SECONDS: Final = 2
_CHUNK: Final = 1 << 20


class UnusableFileError(FetchError):
    """The file cannot be read as media; the message states the reason."""


def is_media_file(url: str) -> bool:
    """Return True if a recording's URL names a media file."""
    return Path(urlsplit(url).path.lower()).suffix in SUFFIXES


class MediaFileRecording(LocalRecording):
    """A segmented media file: a playlist, and one file of fragments that it refers to by ranges.

    Make it by `segment_file`.

    Args:
        playlist: text of the playlist.
        media: the file; it may be deleted once this object exists.
        address: URL of the recording, from which the host name is derived.
    """

    def __init__(self, playlist: str, media: Path, *, address: str) -> None:
        super().__init__(address=address)
        self._playlist = playlist.encode()
        self._file = media.open("rb")
        self._size = media.stat().st_size
        self._close = weakref.finalize(self, self._file.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; garbage collection closes it otherwise."""
        self._close()

    @property
    def entrance(self) -> str:
        """URL of the playlist."""
        return self.url_of(_PLAYLIST)

    def _copy(self, resource: Resource, output: IO[bytes], max_bytes: int) -> int:
        name = self.name_of(resource.url)
        if name == _PLAYLIST:
            if len(self._playlist) > max_bytes:
                raise TooLargeError(f"{len(self._playlist)} bytes; at most {max_bytes} are read")
            return output.write(self._playlist)
        if name != _MEDIA:
            raise NotFoundError("it is not in the recording")
        part = resource.byte_range
        offset, size = (0, self._size) if part is None else (part.offset, part.length)
        if size > max_bytes:
            raise TooLargeError(f"{size} bytes; at most {max_bytes} are read")
        with open(self._file.fileno(), "rb", closefd=False) as source:
            source.seek(offset)
            left = size
            while left and (chunk := source.read(min(left, _CHUNK))):
                left -= output.write(chunk)
        if left:
            raise DamagedError(f"the recording has {size - left} of {size} bytes")
        return size


async def segment_file(
    file: Path, media: Path, playlist: Path, *, binary: Path, address: str, max_bytes: int
) -> MediaFileRecording:
    """Cut a media file into fragments of about two seconds, at its keyframes.

    Pictures are copied; sound is encoded to AAC, since not every codec fits into fragments.

    Args:
        file: the media file.
        media: where to write the fragments.
        playlist: where to write their playlist.
        binary: the ffmpeg to use.
        address: URL of the recording.
        max_bytes: of the fragments.

    Raises:
        UnusableFileError: ffmpeg cannot read the file, or its pictures do not fit into fragments.
    """
    limits = FfmpegLimits(cpu_seconds=1800, wall_seconds=1800.0, output_bytes=max_bytes)
    try:
        await run_ffmpeg(_command(file, media, playlist, binary), limits=limits)
        text = await asyncio.to_thread(playlist.read_text)
    except (FfmpegError, OSError) as error:
        raise UnusableFileError(f"it cannot be read as media ({_first_cause(error)})") from error
    return MediaFileRecording(text.replace(media.name, _MEDIA), media, address=address)


def _command(file: Path, media: Path, playlist: Path, binary: Path) -> list[str]:
    return [
        *(str(binary), "-hide_banner", "-loglevel", "error", "-y"),
        *("-protocol_whitelist", "file,pipe", "-format_whitelist", _FORMATS, "-i", str(file)),
        *("-map", "0:V:0?", "-map", "0:a:0?", "-sn", "-dn", "-map_metadata", "-1"),
        *("-c:v", "copy", "-c:a", "aac", "-ac", "2", "-ar", "48000", "-b:a", "128k"),
        *("-f", "hls", "-hls_time", str(_SEGMENT_SECONDS), "-hls_playlist_type", "vod"),
        *("-hls_segment_type", "fmp4", "-hls_flags", "single_file"),
        *("-hls_segment_filename", str(media), str(playlist)),
    ]


def _first_cause(error: Exception) -> str:
    """Return the last line of ffmpeg, without paths of ours."""
    line = str(error).rpartition("; ")[2]
    return line.rpartition(": ")[2][:200] or "no reason was given"
