"""Which `Accept` headers leave room for JSON."""

from __future__ import annotations

import pytest

from api.middleware.json_content import accepts_json


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/*;q=0.1",
        "text/html, application/xhtml+xml, */*;q=0.8",
        "application/json;q=0.5, text/plain",
        "*/*;q=0, application/json",
    ],
)
def test_there_is_room_for_json(accept: str) -> None:
    assert accepts_json(accept)


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "image/*",
        "application/xml, text/xml;q=0.9",
        "application/json;q=0",
        "application/json;q=0, */*",
        "*/*;q=0",
        "application/json;q=much",
    ],
)
def test_there_is_none(accept: str) -> None:
    assert not accepts_json(accept)
