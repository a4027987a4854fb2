"""Messages that could harm are refused before they are read."""

from __future__ import annotations

import pytest

from domain.feed.adapters.fields import FeedFormatError
from infra.feeds.decoding import decode_json, decode_xml

_ENTITIES = "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, 10))
BOMB = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e0 "ha">{_ENTITIES}]><a>&e9;</a>'


@pytest.mark.parametrize(
    "message",
    [
        BOMB,
        '<!DOCTYPE a SYSTEM "http://localhost/a.dtd"><a/>',
        '<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><a>&f;</a>',
    ],
)
def test_entities_and_document_types_are_refused(message: str) -> None:
    with pytest.raises(FeedFormatError, match="document types and entities are refused"):
        decode_xml(message.encode())


@pytest.mark.parametrize("message", [b"", b"<a>", b"\xff\xfe", b"text", b"<a/><b/>"])
def test_what_is_not_xml_is_named(message: bytes) -> None:
    with pytest.raises(FeedFormatError, match="it is not XML"):
        decode_xml(message)


def test_an_xml_message_is_read() -> None:
    assert decode_xml(b'<alive product="1"/>').get("product") == "1"


@pytest.mark.parametrize(
    "message", [b"", b"{", b'{"odds": NaN}', b"\xff", rb'{"market": "\ud800"}']
)
def test_what_is_not_json_is_named(message: bytes) -> None:
    with pytest.raises(FeedFormatError, match="it is not JSON"):
        decode_json(message)


def test_json_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(FeedFormatError, match="recursion limit"):
        decode_json(b"[" * 200_000)


def test_a_byte_order_mark_is_no_part_of_the_message() -> None:
    assert decode_json(b'\xef\xbb\xbf{"op": "mcm"}') == {"op": "mcm"}
