"""Whether the service lives and can work."""

from __future__ import annotations

from tldrtv_highlights.models.base import Model


class Health(Model):
    """The API's process answers."""

    status: str = "ok"


class Check(Model):
    """One part that the API depends on."""

    ok: bool
    detail: str


class Readiness(Model):
    """Whether requests can be served, part by part."""

    ready: bool
    checks: dict[str, Check]
