"""The runner's answers to what it cannot play; whole runs are in tests/e2e."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from demo.runner import DemoOptions, run_demo
from tests.factories.media import make_video


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "notes.mp4"
    path.write_text("not a video")
    return path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make_video(tmp_path / "video.mp4", seconds=1)


async def test_a_missing_input_is_named_and_nothing_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    assert await run_demo(DemoOptions(input=tmp_path / "absent.mp4", home=home)) == 2
    assert "absent.mp4" in capsys.readouterr().out
    assert not home.exists()


async def test_an_input_that_is_no_media_is_refused(
    notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run_demo(DemoOptions(input=notes, home=tmp_path / "home")) == 2
    assert "not a media file" in capsys.readouterr().out


async def test_a_truth_file_that_cannot_be_read_is_refused(
    video: Path, notes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = DemoOptions(input=video, truth=notes, home=tmp_path / "home")
    assert await run_demo(options) == 2
    assert "not a JSON file" in capsys.readouterr().out


def test_the_scripted_match_is_played_faster_than_a_users_file() -> None:
    assert DemoOptions().effective_pace == 4
    assert DemoOptions(input=Path("my.mp4")).effective_pace == 1
    assert DemoOptions(input=Path("my.mp4"), pace=8).effective_pace == 8


async def test_an_api_without_a_key_is_answered_with_where_to_get_one(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = DemoOptions(input=video, home=tmp_path / "home", against="http://127.0.0.1:9")
    assert await run_demo(options) == 1
    assert "HIGHLIGHTS_KEY" in capsys.readouterr().out


async def test_an_api_that_may_not_read_from_this_machine_says_how_it_may(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = b'{"code": "url_forbidden", "title": "t", "detail": "d"}'
            self.send_response(422)
            self.send_header("Content-Type", "application/problem+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        options = DemoOptions(input=video, home=tmp_path / "home", against=url, key="k")
        assert await run_demo(options) == 1
        server.shutdown()
    assert "HIGHLIGHTS_ALLOW_PRIVATE_URLS=true" in capsys.readouterr().out
