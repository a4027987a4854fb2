"""Bodies are JSON, and said to be."""

from __future__ import annotations

from email.message import Message

from fastapi import Request

from api.problems import UnsupportedMediaTypeProblem


async def require_json(request: Request) -> None:
    """Refuse a body of another type than JSON.

    Raises:
        UnsupportedMediaTypeProblem: `Content-Type` is missing or names another type.
    """
    header = Message()
    header["content-type"] = request.headers.get("content-type", "")
    is_json = header.get_content_type() == "application/json"
    if not is_json or header.get_content_charset("utf-8") not in {"utf-8", "us-ascii"}:
        raise UnsupportedMediaTypeProblem
