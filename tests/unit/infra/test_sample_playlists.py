"""Public sample playlists are read, but for refusals with a reason, as their authors expect."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from domain.ingest.playlist import MasterPlaylist, MediaPlaylist
from infra.media.hls_playlist import NotAPlaylistError, parse_playlist

URL = "https://cdn.example/room/index.m3u8"

REFUSED = {
    "empty": "holds nothing",
    "manifestNoExtM3u": "does not begin with #EXTM3U, by which a playlist is told from other text",
    "start": "does not begin with #EXTM3U, by which a playlist is told from other text",
}
"""What is refused, and why that is right; anything else that is refused fails the test."""

OTHERWISE = {
    "byteRange": "a range without an offset in another file begins at 0; m3u8-parser counts on",
    "llhls-byte-range": "a range without an offset in another file begins at 0",
    "multipleTargetDurations": "without EXTINF, m3u8-parser takes the target duration so far",
    "negativeMediaSequence": "a negative number is none; m3u8-parser counts up from it",
    "zeroDuration": "m3u8-parser replaces a duration of 0; we read what is listed",
    "llhlsDelta": "m3u8-parser numbers a delta update as if nothing was left out",
    "llhls-delta-byte-range": "m3u8-parser numbers a delta update as if nothing was left out",
}
"""Where our reading differs from the expectation of m3u8-parser, and why."""

DUMP = (
    "const {readdirSync} = require('fs'); const d = process.argv[1]; const all = {};"
    "for (const f of readdirSync(d)) if (f.endsWith('.js'))"
    " all[f.slice(0, -3)] = require(d + '/' + f); process.stdout.write(JSON.stringify(all))"
)


@cache
def installed(home: Path) -> Path:
    """Where bin/locked-tools playlists put them, or a skip."""
    found = sorted((home / "tools").glob("playlists-*"))
    if not found:
        pytest.skip("no sample playlists here: they need npm (bin/locked-tools playlists)")
    return found[-1]


def fixtures(home: Path) -> Path:
    return installed(home) / "node_modules" / "m3u8-parser" / "test" / "fixtures" / "integration"


def read(file: Path) -> MasterPlaylist | MediaPlaylist:
    return parse_playlist(file.read_bytes().decode("utf-8", errors="replace"), url=URL)


def refusals(files: list[Path]) -> set[str]:
    refused = set()
    for file in files:
        try:
            read(file)
        except NotAPlaylistError:
            refused.add(file.stem)
    return refused


def differences(playlist: MasterPlaylist | MediaPlaylist, expected: dict[str, Any]) -> list[str]:
    """What our reading has otherwise than m3u8-parser's, of what both have."""
    if isinstance(playlist, MasterPlaylist):
        wanted = [
            (
                urljoin(URL, each["uri"]),
                each.get("attributes", {}).get("BANDWIDTH", 0),
                each.get("attributes", {}).get("RESOLUTION", {}).get("height"),
            )
            for each in expected["playlists"]
        ]
        ours = [(each.url, each.bandwidth, each.height) for each in playlist.variants]
        return [] if ours == wanted else [f"variants {ours} instead of {wanted}"]
    found = []
    listed = [each for each in expected["segments"] if "uri" in each]
    if len(playlist.segments) != len(listed):
        return [f"{len(playlist.segments)} segments instead of {len(listed)}"]
    if playlist.ended != expected.get("endList", False):
        found.append(f"ended: {playlist.ended}")
    for place, (ours_, theirs) in enumerate(zip(playlist.segments, listed, strict=True)):
        pairs: dict[str, tuple[object, object]] = {
            "url": (ours_.resource.url, urljoin(URL, theirs["uri"])),
            "duration": (ours_.duration, theirs.get("duration", ours_.duration)),
            "sequence": (ours_.sequence, expected["mediaSequence"] + place),
            "discontinuity": (ours_.discontinuity, theirs.get("discontinuity", False)),
            "encryption": (ours_.encryption, theirs.get("key", {}).get("method")),
        }
        if "byterange" in theirs and ours_.resource.byte_range is not None:
            pairs["length"] = (ours_.resource.byte_range.length, theirs["byterange"]["length"])
            pairs["offset"] = (ours_.resource.byte_range.offset, theirs["byterange"]["offset"])
        if "map" in theirs and ours_.initialization is not None:
            pairs["map"] = (ours_.initialization.url, urljoin(URL, theirs["map"]["uri"]))
        if "dateTimeString" in theirs and ours_.program_date_time is not None:
            at = theirs["programDateTime"] / 1000
            pairs["date"] = (ours_.program_date_time.timestamp(), pytest.approx(at, abs=0.01))
        found += [
            f"{name} of segment {place}: {one} instead of {other}"
            for name, (one, other) in pairs.items()
            if one != other
        ]
    return found


def test_only_what_is_no_playlist_is_refused(home: Path) -> None:
    files = sorted(fixtures(home).glob("*.m3u8"))
    assert len(files) >= 60
    assert refusals(files) == set(REFUSED)


def test_samples_of_another_library_are_all_read(home: Path) -> None:
    files = sorted((installed(home) / "go").glob("**/sample-playlists/*.m3u8"))
    if not files:
        pytest.skip("no second collection here: it needs Go (bin/locked-tools playlists)")
    assert len(files) >= 26
    assert refusals(files) == set()
    for file in files:
        playlist = read(file)
        uris = [line for line in file.read_text().split("\n") if line.strip() and line[0] != "#"]
        if isinstance(playlist, MasterPlaylist):
            found = [each.url for each in playlist.variants]
        else:
            found = [each.resource.url for each in playlist.segments]
        assert found == [urljoin(URL, uri.strip()) for uri in uris], file.name


def test_sample_playlists_are_read_as_their_authors_expect(home: Path) -> None:
    node = shutil.which("node")
    directory = fixtures(home)
    if node is None:
        pytest.skip("no Node.js here, in which the expectations are written")
    run = subprocess.run(
        [node, "-e", DUMP, str(directory)], capture_output=True, check=True, timeout=60
    )
    differing = {}
    for name, expected in json.loads(run.stdout).items():
        if name not in REFUSED and (
            found := differences(read(directory / f"{name}.m3u8"), expected)
        ):
            differing[name] = found
    assert {name: found for name, found in differing.items() if name not in OTHERWISE} == {}
    assert set(differing) == set(OTHERWISE)
