"""Decoding of messages of feeds: XML without entities, JSON without constants that JSON lacks."""

from __future__ import annotations

from codecs import BOM_UTF8
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from pydantic_core import from_json

from domain.feed.adapters.fields import FeedFormatError


def decode_xml(message: bytes) -> Element:
    """Return the root element of an XML document.

    Raises:
        FeedFormatError: it is not well formed, or has a document type, which may hold entities.
    """
    try:
        root: Element = fromstring(message, forbid_dtd=True)
    except DefusedXmlException as error:
        raise FeedFormatError(
            "message", "document types and entities are refused, since they can expand without end"
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise FeedFormatError(
            "message", f"it is not XML: {error}; write each message on one line"
        ) from error
    return root


def decode_json(message: bytes) -> object:
    """Return a JSON value, whose texts are valid Unicode.

    Raises:
        FeedFormatError: it is not JSON, nested too deeply, or has half of a surrogate pair.
    """
    try:
        value: object = from_json(message.removeprefix(BOM_UTF8), allow_inf_nan=False)
    except ValueError as error:
        raise FeedFormatError(
            "message", f"it is not JSON: {error}; write each message on one line"
        ) from error
    return value
