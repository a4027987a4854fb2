"""The build stage's commands make a virtual environment in which the images' commands run.

There is no container engine here, so the commands of the runtime stage that change the system (apt,
accounts) are only linted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.deploy.dockerfile import ROOT, Stage, read_stages

STAGES = read_stages()
IMAGES = ("api", "worker")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    """Run the build stage below a directory, with only the files that its context has.

    The console is built in the checkout: its stage runs the same commands in an image of Node.
    """
    subprocess.run([ROOT / "bin/console", "build"], check=True, timeout=240)
    root = tmp_path_factory.mktemp("image")
    source = root / "src"
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        if line.startswith("!"):
            _copy(ROOT / line[1:], source / line[1:])
    shutil.copy(source / "bin/uv.lock.txt", source)
    # Registries and certificates are those of this machine; its Python environment is not.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "VIRTUAL_ENV" and not name.startswith("PYTHON")
    } | {
        "PATH": f"{root}/opt/uv/bin:{os.environ['PATH']}",
        "UV_CACHE_DIR": str(home / "tools" / "uv-cache"),
    }
    (root / "opt").mkdir()
    for command in STAGES["build"].run:
        here = command.replace("/opt/", f"{root}/opt/")
        done = subprocess.run(
            ["/bin/bash", "-euc", here],
            cwd=source,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    return root / "opt" / "highlights"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(
            source, target, ignore=shutil.ignore_patterns("__pycache__", "node_modules")
        )
    else:
        shutil.copy(source, target)


def run(built: Path, home: Path, stage: Stage, *argv: str) -> subprocess.CompletedProcess[str]:
    environment: dict[str, str] = {
        **stage.env,
        "PATH": f"{built}/bin:/usr/bin:/bin",
        "HIGHLIGHTS_HOME": str(home),
        # The image has bytecode. Here the first command writes what it loads, for those after it.
        "PYTHONPYCACHEPREFIX": str(built / "bytecode"),
    }
    del environment["PYTHONDONTWRITEBYTECODE"]
    return subprocess.run(
        argv, cwd=home, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("image", IMAGES)
def test_the_command_of_an_image_starts_and_asks_for_its_database(
    built: Path, tmp_path: Path, image: str
) -> None:
    done = run(built, tmp_path, STAGES[image], *STAGES[image].cmd)
    assert done.returncode == 1
    assert "Set DATABASE_URL" in done.stderr, done.stderr


@pytest.mark.parametrize("image", IMAGES)
def test_the_health_check_of_an_image_fails_while_nothing_runs(
    built: Path, tmp_path: Path, image: str
) -> None:
    done = run(built, tmp_path, STAGES[image], *STAGES[image].health)
    assert (done.returncode, "Connection refused" in done.stderr) == (1, True), done.stderr


def test_an_image_has_ffmpeg_and_no_tool_of_the_developers(built: Path, tmp_path: Path) -> None:
    found = run(
        built,
        tmp_path,
        STAGES["worker"],
        *("python", "-c", "from infra.media.ffmpeg import *; print(find_ffmpeg())"),
    )
    assert Path(found.stdout.strip()).is_relative_to(built), found.stderr
    (site,) = built.glob("lib/python*/site-packages")
    assert not [name for name in ("pytest", "mypy", "demo", "tests") if (site / name).exists()]


def test_an_image_has_the_console_and_not_its_sources(built: Path) -> None:
    (site,) = built.glob("lib/python*/site-packages")
    assert (site / "api/console/dist/index.html").is_file()
    assert list((site / "api/console/dist/assets").glob("*.js"))
    assert not (site / "console").exists()


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_without_root_and_names_all_that_it_writes(image: str) -> None:
    stage = STAGES[image]
    assert stage.user.startswith("10001")
    assert stage.volumes == [stage.env["HIGHLIGHTS_HOME"], "/tmp"]
    assert stage.labels["tv.tldr.sbom"].endswith("requirements-runtime.lock")
