"""The HTML of an embedded player: one video, no script or style but its own."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from html import escape
from string import Template
from typing import Final

from fastapi.responses import HTMLResponse

_REFRESH: Final = 5
"""Seconds after which a page whose clip is not ready loads again."""

_STYLE: Final = (
    "html,body{margin:0;height:100%;background:#000;color:#fff;font:16px system-ui,sans-serif}"
    "video{width:100%;height:100%;display:block}"
    "p{position:absolute;inset:0;margin:auto;height:1.5em;text-align:center}"
)
# The first time that pictures move is a play; the service counts each page once.
_SCRIPT: Final = (
    'const video = document.querySelector("video");'
    'video.addEventListener("playing", () => navigator.sendBeacon(video.dataset.plays), '
    "{once: true});"
)
_PAGE: Final = Template(
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>$title</title>
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<link rel="alternate" type="application/json+oembed" href="$oembed" title="$title">
<style nonce="$nonce">$style</style></head>
<body>$body</body></html>
"""
)


def player_page(
    *,
    title: str,
    oembed_url: str,
    origins: Sequence[str],
    video_url: str | None,
    poster_url: str | None,
    plays_url: str,
) -> HTMLResponse:
    """Return the page of a player.

    Args:
        title: of the highlight.
        oembed_url: describes the page to oEmbed consumers.
        origins: pages that may embed it; empty for all.
        video_url: the MP4; None while it is rendered, and the page then loads again.
        poster_url: picture that is shown before the video plays.
        plays_url: where the page reports that the video plays.
    """
    nonce = secrets.token_urlsafe(16)
    headers = {
        "Content-Security-Policy": "; ".join(
            (
                "default-src 'none'",
                # Clips may be redirected to a bucket or a CDN.
                "media-src 'self' https:",
                "img-src 'self' https:",
                "connect-src 'self'",
                f"script-src 'nonce-{nonce}'",
                f"style-src 'nonce-{nonce}'",
                "base-uri 'none'",
                "form-action 'none'",
                f"frame-ancestors {' '.join(origins) or '*'}",
            )
        ),
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if video_url is None:
        body = "<p>The clip is being prepared.</p>"
        headers["Refresh"] = str(_REFRESH)
    else:
        poster = "" if poster_url is None else f' poster="{escape(poster_url)}"'
        body = (
            f'<video controls playsinline preload="metadata" aria-label="{escape(title)}"'
            f'{poster} src="{escape(video_url)}" data-plays="{escape(plays_url)}"></video>'
            f'<script nonce="{nonce}">{_SCRIPT}</script>'
        )
    text = _PAGE.substitute(
        title=escape(title), oembed=escape(oembed_url), nonce=nonce, style=_STYLE, body=body
    )
    return HTMLResponse(text, headers=headers)


def frame(url: str, *, title: str, width: int, height: int) -> str:
    """Return the HTML that embeds a page."""
    return (
        f'<iframe src="{escape(url)}" title="{escape(title)}" width="{width}" height="{height}" '
        'allow="fullscreen; autoplay" allowfullscreen style="border:0"></iframe>'
    )
