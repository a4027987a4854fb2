"""Base class and value types of the settings.

Each type validates its value when the settings are read. Error messages say what is allowed and
never repeat the value, which may contain a password.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Self, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from infra.redaction import header_problem, register
from infra.storage.s3 import S3Location
from infra.storage.signed_urls import read_rsa_key

PREFIX: Final = "HIGHLIGHTS_"
# Hashed as it is: another form of it would void every key and signature made so far.
_AS_IT_IS: Final = frozenset({"signing_secret"})
# PEM. In files of variables its line breaks are often written as \\n.
_OF_SEVERAL_LINES: Final = frozenset({"clip_cdn_private_key"})


class SettingsSection(BaseSettings):
    """A group of settings under one heading of the documentation.

    Values lose the white space around them (a line break at the end of a mounted file, as a rule).
    Secrets are refused where they could not be sent, and are never shown: not in errors, and,
    registered for redaction, not in any later text either.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,  # which may be a URL with a password in it
        allow_inf_nan=False,
    )
    heading: ClassVar[str]

    @field_validator("*", mode="before")
    @classmethod
    def _clean(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401
        name = info.field_name or ""
        if name in _AS_IT_IS:
            return value
        if not _is_secret(cls.model_fields[name].annotation):
            return value.strip() if isinstance(value, str) else value
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if not isinstance(value, str):
            return value
        value = value.strip()
        if not value:
            return None
        register(value)
        if name in _OF_SEVERAL_LINES:
            return value.replace("\\n", "\n").strip()
        # A URL may have spaces in its options; nothing takes line breaks.
        problem = None if "://" in value and value.isprintable() else header_problem(value)
        if problem:
            raise ValueError(f"the value {problem}; copy it once more, without quotes")
        return value

    @model_validator(mode="after")
    def _register_secrets(self) -> Self:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                register(value)
        return self


def _is_secret(annotation: Any) -> bool:  # noqa: ANN401 whatever a field may be declared as
    return annotation is SecretStr or any(_is_secret(each) for each in get_args(annotation))


_MINIMUM_SECRET: Final = 32
_HIGHEST_PORT: Final = 65535
_HOST_PORT: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})")
_POSTGRESQL: Final = ("postgresql", "postgresql+asyncpg", "postgres")
_REDIS: Final = ("redis", "rediss", "unix")
_AMQP: Final = ("amqp", "amqps")


def _postgresql_url(url: SecretStr) -> SecretStr:
    form = "must be a URL such as postgresql://user:password@host:5432/database"
    try:
        parsed = make_url(url.get_secret_value())
        host = parsed.host or parsed.query.get("host")
    except (ArgumentError, ValueError):
        raise ValueError(form) from None
    if parsed.drivername not in _POSTGRESQL:
        raise ValueError(f"{form}; its scheme is not one of {', '.join(_POSTGRESQL)}")
    if parsed.port is not None and not 1 <= parsed.port <= _HIGHEST_PORT:
        raise ValueError(f"{form}; its port is not between 1 and {_HIGHEST_PORT}")
    if not host:
        raise ValueError(f"{form}; it names no host")
    if not parsed.database:
        raise ValueError(f"{form}; it names no database")
    return url


def _redis_url(url: SecretStr) -> SecretStr:
    _require_scheme(url.get_secret_value(), _REDIS, "redis://host:6379/0")
    return url


def _amqp_url(url: SecretStr) -> SecretStr:
    _require_scheme(url.get_secret_value(), _AMQP, "amqps://user:password@host:5671/vhost")
    return url


def _http_url(url: str) -> str:
    _require_scheme(url, ("http", "https"), "https://example.com")
    return url


def _host_and_port(address: str) -> str:
    found = _HOST_PORT.fullmatch(address)
    if found is None or not 1 <= int(found[2]) <= _HIGHEST_PORT:
        raise ValueError("must be host:port, without a scheme, such as localhost:7233")
    return address


def _origin(origin: str) -> str:
    if origin == "*":
        return origin
    form = "must be origins such as https://app.example.com, separated by commas, or *"
    try:
        parts = urlsplit(origin)
        extra = parts.path or parts.query or parts.fragment or parts.username
    except ValueError:
        raise ValueError(form) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or extra:
        raise ValueError(form)
    return origin


def _long_secret(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value().encode()) < _MINIMUM_SECRET:
        raise ValueError(
            f"must be a random text of {_MINIMUM_SECRET} bytes or more; make one by "
            "`openssl rand -hex 32`"
        )
    return secret


_KEY_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def parse_payload_keys(text: str) -> dict[str, str]:
    """Return keys by id, in order, from `id:secret,id:secret`.

    Raises:
        ValueError: the text has another form, repeats an id, or a secret is too short.
    """
    keys: dict[str, str] = {}
    for number, part in enumerate(text.split(","), start=1):
        key_id, colon, secret = part.strip().partition(":")
        if not colon or not _KEY_ID.fullmatch(key_id):
            raise ValueError("must be keys such as 2026-11:SECRET, separated by commas")
        if key_id in keys:
            raise ValueError(f"must have different ids; that of key {number} is used before it")
        if len(secret.encode()) < _MINIMUM_SECRET:
            raise ValueError(
                f"must have secrets of {_MINIMUM_SECRET} bytes or more, and that of key {number} "
                "is shorter; make one by `openssl rand -hex 32`"
            )
        keys[key_id] = secret
    return keys


def _payload_keys(keys: SecretStr) -> SecretStr:
    register(*parse_payload_keys(keys.get_secret_value()).values())
    return keys


def _rsa_private_key(key: SecretStr) -> SecretStr:
    read_rsa_key(key.get_secret_value())
    return key


def _readable_file(path: Path) -> Path:
    if not path.expanduser().is_file():
        raise ValueError("must be the path of a file, and there is no such file")
    if not os.access(path.expanduser(), os.R_OK):
        raise ValueError("must be the path of a file that this process may read")
    return path.expanduser()


def _program(path: Path) -> Path:
    if not _readable_file(path).is_file() or not os.access(path.expanduser(), os.X_OK):
        raise ValueError("must be the path of a program that this process may run")
    return path.expanduser()


def _store(location: str) -> str:
    if "://" in location:
        return str(S3Location.parse(location))
    if Path(location).expanduser().is_file():
        raise ValueError("must be a directory or s3://bucket/prefix, and is a file")
    return str(Path(location).expanduser())


def _require_scheme(url: str, schemes: tuple[str, ...], example: str) -> None:
    try:
        parts = urlsplit(url)
        place = parts.hostname or (parts.scheme == "unix" and parts.path)
        _ = parts.port
    except ValueError:
        place, parts = None, urlsplit("")
    if parts.scheme not in schemes or not place:
        begin = " or ".join(f"{scheme}://" for scheme in schemes)
        raise ValueError(f"must be a URL that begins with {begin}, such as {example}")


PostgresqlUrl = Annotated[SecretStr, AfterValidator(_postgresql_url)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
AmqpUrl = Annotated[SecretStr, AfterValidator(_amqp_url)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Origin = Annotated[str, AfterValidator(_origin)]
HostPort = Annotated[str, AfterValidator(_host_and_port)]
PayloadKeys = Annotated[SecretStr, AfterValidator(_payload_keys)]
LongSecret = Annotated[SecretStr, AfterValidator(_long_secret)]
ReadableFile = Annotated[Path, AfterValidator(_readable_file)]
Program = Annotated[Path, AfterValidator(_program)]
StoreLocation = Annotated[str, AfterValidator(_store)]
RsaPrivateKey = Annotated[SecretStr, AfterValidator(_rsa_private_key)]
