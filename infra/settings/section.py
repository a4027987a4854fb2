"""What all groups of settings share."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Self, get_args

from pydantic import SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from infra.redaction import header_problem, register

PREFIX: Final = "HIGHLIGHTS_"
# Hashed as it is: another form of it would void every key and signature made so far.
_AS_IT_IS: Final = frozenset({"signing_secret"})


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
