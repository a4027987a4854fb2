"""Management tokens: the JWTs that 100ms's server API asks for (HS256, with the app secret)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

import jwt

from demo.errors import DemoError
from demo.model import Model

_LIFETIME: Final = timedelta(hours=24)
_VERSION: Final = 2
_REQUIRED: Final = ("access_key", "type", "version", "iat", "nbf", "exp", "jti")


class TokenRefusedError(DemoError):
    """The request has no valid management token."""


class Keys(Model):
    """The access key of a workspace and the app secret that goes with it."""

    access_key: str
    app_secret: str


def management_token(keys: Keys, *, lifetime: timedelta = _LIFETIME) -> str:
    """Make a token as 100ms documents it."""
    now = datetime.now(UTC)
    claims = {
        "access_key": keys.access_key,
        "type": "management",
        "version": _VERSION,
        "iat": now,
        "nbf": now,
        "exp": now + lifetime,
        "jti": str(uuid4()),
    }
    return jwt.encode(claims, keys.app_secret, algorithm="HS256")


def verify(authorization: str | None, keys: Keys) -> None:
    """Check an `Authorization` header.

    Raises:
        TokenRefusedError: it is missing, forged, expired, or no management token of this key.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenRefusedError("Send a management token: `Authorization: Bearer <token>`.")
    try:
        claims = jwt.decode(
            token, keys.app_secret, algorithms=["HS256"], options={"require": list(_REQUIRED)}
        )
    except jwt.InvalidTokenError as error:
        raise TokenRefusedError(f"The management token is not valid: {error}") from error
    expected = (keys.access_key, "management", _VERSION)
    if (claims["access_key"], claims["type"], claims["version"]) != expected:
        raise TokenRefusedError("The token is no management token of this access key.")
