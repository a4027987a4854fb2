"""Decoding of messages of feeds: XML without entities, JSON without constants that JSON lacks."""

from __future__ import annotations

import json
from typing import NoReturn
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

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
    """Return a JSON value.

    Raises:
        FeedFormatError: it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(message, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise FeedFormatError("message", "the JSON is nested too deeply") from error
    except ValueError as error:
        raise FeedFormatError(
            "message", f"it is not JSON: {error}; write each message on one line"
        ) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
