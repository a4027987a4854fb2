"""Secrets are replaced in every text that leaves the process, in whatever form they are written."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import structlog
from pydantic import SecretStr, ValidationError
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from api.errors.problems import UnavailableProblem
from infra.redaction import MASK, redact, register
from infra.settings import Settings
from infra.telemetry import logs
from infra.temporal.client import data_converter
from tests.fakes.s3_server import cdn_private_key

MARK = "mark-7f3a\"/é'x"
SECRETS = {
    name: field
    for name, field in Settings.model_fields.items()
    if "SecretStr" in str(field.annotation)
}
URLS = {"database_url": "postgresql", "database_owner_url": "postgresql", "redis_url": "redis"}
URLS["amqp_url"] = "amqp"
CDN_KEY = cdn_private_key().strip()
REQUIRED = {
    "clip_cdn_private_key": {
        "clip_store": "s3://bucket/clips",
        "clip_cdn_url": "https://cdn.example",
        "clip_cdn_key_id": "K1",
    }
}
"""What else must be set beside a secret."""


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root, hook, thread_hook = logging.getLogger(), sys.excepthook, threading.excepthook
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    sys.excepthook, threading.excepthook = hook, thread_hook
    structlog.reset_defaults()


def marked(name: str) -> tuple[str, str]:
    """Return a value of a secret setting, and the part of it that must never be seen."""
    if name == "clip_cdn_private_key":
        return CDN_KEY, CDN_KEY.splitlines()[2]
    mark = f"mark-of-{name}-7f3a-9c41e2b8d65f"
    if name == "temporal_keys":
        return f"k1:{mark}", mark
    return (f"{URLS[name]}://user:{mark}@127.0.0.1:1/x", mark) if name in URLS else (mark, mark)


@pytest.mark.parametrize("name", SECRETS)
def test_the_value_of_every_secret_setting_is_replaced_everywhere(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    value, mark = marked(name)
    settings = Settings.model_validate(REQUIRED.get(name, {}) | {name: value, "log_format": "json"})
    logs.configure(settings, component="test")
    error = ValueError(f"could not use {value} ({mark})")
    failure = Failure()
    try:
        try:
            raise error
        except ValueError as cause:
            raise ApplicationError(f"failed with {mark}") from cause
    except ApplicationError as caught:
        structlog.get_logger().exception("failed", value=value, deep={"list": [mark]})
        logging.getLogger("library").warning("%s", value, exc_info=True)
        converter = data_converter(settings)
        converter.failure_converter.to_failure(caught, converter.payload_converter, failure)
    problem = UnavailableProblem(f"No answer from {value}.").response("r-1")
    written = capsys.readouterr().err + str(failure) + bytes(problem.body).decode()
    assert "failed" in written
    assert mark not in written


@pytest.mark.parametrize(
    "form",
    [
        MARK,
        json.dumps(MARK)[1:-1],
        repr(MARK)[1:-1],
        "mark-7f3a%22%2F%C3%A9%27x",
        f"before{MARK}after",
    ],
)
def test_a_secret_is_found_however_it_is_written(form: str) -> None:
    register(SecretStr(MARK))
    assert "7f3a" not in redact(form)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("at redis://:p@ss@host:6379/0 now", f"at redis://{MASK}@host:6379/0 now"),
        ("https://u:p@h/a?x=1", f"https://{MASK}@h/a?x=1"),
        ("GET https://h/a?key=AbC123&alt=sse", f"GET https://h/a?key={MASK}&alt=sse"),
        ("https://h/a?a=1&X-Amz-Signature=00ff", f"https://h/a?a=1&X-Amz-Signature={MASK}"),
        ("Authorization: Bearer abc123def456", f"Authorization: Bearer {MASK}"),
        ("key AIzaSyA-1234567890 refused", f"key {MASK} refused"),
        ("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", MASK),
        ("hl_live_abcdefghijklmnop1234", f"hl_live_{MASK}"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2ln", MASK),
    ],
)
def test_what_looks_like_a_credential_is_replaced(text: str, clean: str) -> None:
    assert redact(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "Send a valid API key: `Authorization: Bearer hl_live_…`.",
        "a basic understanding, a bearer realm",
        "https://h/v1/highlights?cursor=abc&stream_id=1",
        "mail to someone@example.com",
        "the key of the game is 3-1",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("name", SECRETS)
def test_white_space_around_a_secret_is_dropped(name: str) -> None:
    value, _ = marked(name)
    settings = Settings.model_validate(REQUIRED.get(name, {}) | {name: f" {value}\r\n"})
    read = getattr(settings, name).get_secret_value()
    # The signing secret is hashed as it is: another form of it would void every key.
    assert read == (f" {value}\r\n" if name == "signing_secret" else value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GEMINI_API_KEY", "mark-7f\n3a"),
        ("GEMINI_API_KEY", "mark 7f3a"),
        ("GEMINI_API_KEY", "mark-7fé3a"),
        ("TEMPORAL_API_KEY", "mark-7f\r\n3a"),
        ("DATABASE_URL", "postgresql://u:mark-7f\n3a@h/d"),
        ("AMQP_URL", "amqp://u:mark-7f\t3a@h/"),
    ],
)
def test_a_secret_that_cannot_be_sent_is_refused_by_name_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError, match=variable) as refused:
        Settings()
    assert "7f" not in str(refused.value)


def test_an_uncaught_exception_is_printed_without_secrets() -> None:
    program = (
        "from infra.redaction import *\n"
        "import threading\n"
        "print_exceptions_redacted(); register('mark-7f3a')\n"
        "def fail(): raise KeyError('mark-7f3a')\n"
        "threading.Thread(target=fail).start()\n"
        "raise ValueError('mark-7f3a in redis://a:b@c')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert f"KeyError: '{MASK}'" in ended.stderr
    assert "7f3a" not in ended.stderr
    assert f"ValueError: {MASK} in redis://{MASK}@c" in ended.stderr


@pytest.mark.parametrize("unit", ["a-", "a.", "?key", "://", "eyJ", "ab "])
def test_a_long_line_takes_no_long_time(unit: str) -> None:
    began = time.process_time()
    redact(unit * 30_000)
    assert time.process_time() - began < 5.0
