"""Logs: one form for all, with correlation ids and without secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from infra.settings import Settings
from infra.telemetry import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def configure() -> None:
    logs.configure(Settings(log_format="json"), component="worker")


def test_a_line_says_what_where_and_when(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    structlog.get_logger("infra.x").info("window_fetched", segments=3)
    (line,) = lines(capsys)
    assert line["message"] == "window_fetched"
    assert (line["segments"], line["component"], line["level"]) == (3, "worker", "info")
    assert str(line["timestamp"]).endswith("Z")


def test_libraries_log_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    logging.getLogger("temporalio.worker").warning("slow %s", "poll")
    (line,) = lines(capsys)
    assert (line["message"], line["logger"]) == ("slow poll", "temporalio.worker")


def test_correlation_ids_reach_every_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure()
    structlog.contextvars.bind_contextvars(correlation_id="r-1")
    structlog.get_logger().info("ours")
    logging.getLogger("theirs").warning("theirs")
    assert [line["correlation_id"] for line in lines(capsys)] == ["r-1", "r-1"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_tracebacks_show_no_local_variables(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings.model_validate({"log_format": form}), component="worker")

    def fail(password: str) -> None:
        raise ValueError(len(password))

    try:
        fail("hush" * 2)
    except ValueError:
        structlog.get_logger().exception("failed")
    written = capsys.readouterr().err
    assert "ValueError" in written
    assert "hushhush" not in written


def test_chatty_libraries_are_heard_from_warnings_on(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    logging.getLogger("httpx").info("request")
    logging.getLogger("httpx").warning("trouble")
    assert [line["message"] for line in lines(capsys)] == ["trouble"]
