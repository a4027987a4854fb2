"""Profiles follow their files, as a whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from domain.profiles.documents import InvalidProfilesError
from infra.profiles.store import ProfileStore
from tests.fakes.clock import FakeClock


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write(tmp_path, "default", "name: General\nkind: default\n")
    write_soccer(tmp_path, 2.0)
    return tmp_path


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(directory: Path, clock: FakeClock) -> ProfileStore:
    return ProfileStore(directory, check_interval=1.0, clock=clock.monotonic)


def write(directory: Path, name: str, text: str) -> None:
    (directory / f"{name}.yaml").write_text(text, encoding="utf-8")


def write_soccer(directory: Path, pre_roll: float) -> None:
    note = "# " + "x" * int(pre_roll * 4)
    text = f"extends: default\nname: Soccer\nkind: sport\nclip:\n  pre_roll: {pre_roll}\n{note}\n"
    write(directory, "soccer", text)


def test_a_changed_file_is_read_again(
    directory: Path, store: ProfileStore, clock: FakeClock
) -> None:
    write_soccer(directory, 3.0)
    clock.seconds = 1.0
    assert store.catalog.get("soccer").clip.pre_roll == 3.0


def test_files_are_not_looked_at_more_often_than_asked(
    directory: Path, store: ProfileStore, clock: FakeClock
) -> None:
    write_soccer(directory, 3.0)
    clock.seconds = 0.9
    assert store.catalog.get("soccer").clip.pre_roll == 2.0


def test_a_pinned_version_keeps_its_rules_over_a_reload(
    directory: Path, store: ProfileStore, clock: FakeClock
) -> None:
    pinned = store.catalog.get("soccer").version
    write_soccer(directory, 3.0)
    clock.seconds = 1.0
    assert store.catalog.get("soccer", pinned).clip.pre_roll == 2.0


def test_a_broken_file_leaves_the_former_catalogue_in_use(
    directory: Path, store: ProfileStore, clock: FakeClock
) -> None:
    before = store.catalog
    write(directory, "soccer", "name: Soccer\nkind: sport\nclipp: {}\n")
    clock.seconds = 1.0
    assert store.catalog is before


def test_one_broken_file_keeps_changes_of_the_others_back(
    directory: Path, store: ProfileStore, clock: FakeClock
) -> None:
    write_soccer(directory, 3.0)
    write(directory, "tennis", "name: [")
    clock.seconds = 1.0
    assert store.catalog.get("soccer").clip.pre_roll == 2.0


def test_a_broken_file_is_logged_once_with_its_line(
    directory: Path, store: ProfileStore, clock: FakeClock
) -> None:
    write(directory, "soccer", "name: Soccer\nkind: sport\nclipp: {}\n")
    with capture_logs() as logs:
        for clock.seconds in (1.0, 2.0, 3.0):
            assert store.catalog
    assert [log["event"] for log in logs] == ["profiles_reload_refused"]
    assert "soccer.yaml:3: clipp" in logs[0]["problems"][0]


def test_a_corrected_file_takes_effect(
    directory: Path, store: ProfileStore, clock: FakeClock
) -> None:
    write(directory, "soccer", "name: [")
    clock.seconds = 1.0
    assert store.catalog.get("soccer").clip.pre_roll == 2.0
    write_soccer(directory, 3.0)
    clock.seconds = 2.0
    assert store.catalog.get("soccer").clip.pre_roll == 3.0


def test_a_removed_profile_stays_known_to_streams_that_pinned_it(
    directory: Path, store: ProfileStore, clock: FakeClock
) -> None:
    pinned = store.catalog.get("soccer").version
    (directory / "soccer.yaml").unlink()
    clock.seconds = 1.0
    assert store.catalog.ids() == ("default",)
    assert store.catalog.get("soccer", pinned).name == "Soccer"


def test_nothing_valid_to_begin_with_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidProfilesError, match="there must be a profile `default`"):
        ProfileStore(tmp_path)
