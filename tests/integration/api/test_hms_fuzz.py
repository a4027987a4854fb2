"""Whatever a sender writes: no error of ours, no line of its own in the log, bounded memory."""

from __future__ import annotations

import io
import json
import logging
import tracemalloc
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from api.connections.hms_webhooks import MAX_BODY_BYTES
from domain.hms.events import NotAnEventError, parse_event
from infra.settings import Settings
from infra.telemetry import logs
from tests.factories.hms import DATA, body
from tests.fakes.hms_sender import connect
from tests.integration.api.conftest import Account

MARK = "INJECTED"
FORGERIES = (
    f"\n{MARK}",
    f"\r\n{MARK}",
    f"\x1b[2J\x1b[31m{MARK}",
    f"\u2028{MARK}",
    f"\x85{MARK}",
    f"\x00{MARK}",
    f'"}}\n{{"message": "{MARK}',
)
HOSTILE = {
    "gigantic digits": b'{"type": "hls.started.success", "id": ' + b"9" * 200_000 + b"}",
    "gigantic exponent": b'{"type": "hls.stopped.success", "data": {"duration": 1e999999}}',
    "gigantic fraction": b'{"type": "hls.stopped.success", "data": {"duration": 0.'
    + b"1" * 200_000
    + b"}}",
    "nested lists": b'{"type": "x", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "nested objects": b'{"type": "x", "data": ' + b'{"a":' * 40_000 + b"1" + b"}" * 40_000 + b"}",
    "many names": json.dumps({"type": "x", **{f"k{n}": n for n in range(15_000)}}).encode(),
    "one name again and again": b'{"type": "x"' + b', "data": {}' * 20_000 + b"}",
    "many files": json.dumps(
        {"type": "hls.recording.success", "data": {"recording_single_files": [{}] * 60_000}}
    ).encode(),
    "a long text": json.dumps(
        {"type": "hls.failure", "data": {"beam_id": "b", "error_message": "\u00e9\n" * 30_000}}
    ).encode(),
    "unfinished": b'{"type": "x", "data": "' + b"\\u0041" * 40_000,
    "half a surrogate": b'{"type": "hls.failure", "id": "\\ud800", "data": {"beam_id": "\\udfff"}}',
    "not UTF-8": b'{"type": "\xff\xfe"}',
    "NUL everywhere": b"\x00" * 1000,
    "not a number": b'{"type": "x", "data": {"duration": NaN}}',
}

_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
_forged = st.sampled_from(FORGERIES) | st.text(max_size=20)
_events = st.builds(
    lambda kind, names, value, id_: body(kind, dict.fromkeys(names, value), id=id_),
    st.sampled_from(sorted(DATA)) | _forged,
    st.lists(st.sampled_from(sorted({name for data in DATA.values() for name in data}))),
    _anything | _forged,
    _anything | _forged,
)
_envelopes = st.dictionaries(
    st.sampled_from(["id", "type", "timestamp", "account_id", "app_id", "data", "is_replay"]),
    _anything | _forged,
).map(lambda document: json.dumps(document).encode())
BODIES = st.binary(max_size=400) | _events | _envelopes


@pytest.fixture(params=["json", "console"])
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What is written to the log in production's form, and in the one for people."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    written = io.StringIO()
    logs.configure(Settings(log_format=request.param), component="api")
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    yield written
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """As many refusals as there are bodies come from one address."""
    return settings.model_copy(update={"address_refusals_per_minute": 100_000})


async def test_no_body_breaks_the_door_or_writes_into_the_log(
    account: Account, log: io.StringIO
) -> None:
    sender = await connect(account)
    bodies = [body(f"type{forgery}", {"beam_id": forgery}, id=forgery) for forgery in FORGERIES]

    @hypothesis_settings(max_examples=80, database=None, suppress_health_check=list(HealthCheck))
    @given(BODIES)
    def collect(raw: bytes) -> None:
        bodies.append(raw)

    collect()
    log.seek(0)
    log.truncate()
    for raw in bodies:
        response = await sender.post(raw)
        assert response.status_code in {200, 400, 422}, raw
    written = log.getvalue()
    assert MARK not in written
    assert not set(written) & set("\x00\x1b\x85\u2028\r")
    assert written.count("\n") == len(written.splitlines())


@pytest.mark.parametrize("name", sorted(HOSTILE))
async def test_a_body_made_to_hurt_is_answered_like_any_other(account: Account, name: str) -> None:
    raw = HOSTILE[name]
    assert len(raw) <= MAX_BODY_BYTES
    sender = await connect(account)
    response = await sender.post(raw)
    assert response.status_code in {200, 400, 422}
    assert len(response.content) < 2_000, "it says what is wrong without repeating it"


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_reading_a_body_takes_a_bounded_multiple_of_its_size(name: str) -> None:
    tracemalloc.start()
    try:
        event = parse_event(HOSTILE[name])
    except NotAnEventError:
        event = None
    finally:
        held, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 64 * MAX_BODY_BYTES
    del event
    assert held < 32 * MAX_BODY_BYTES


@given(BODIES)
def test_what_is_kept_of_any_body_is_short_and_printable(raw: bytes) -> None:
    try:
        event = parse_event(raw)
    except NotAnEventError:
        return
    for word in (event.id, event.type):
        assert 0 < len(word) <= 200
        assert not set(word) & set("\r\n\x00\x1b\x85\u2028\u2029")
