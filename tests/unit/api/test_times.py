"""Times in bodies are read strictly and written as they were."""

from __future__ import annotations

import warnings

import pytest
from pydantic import ValidationError

from api.keys.schemas import CreateKeyRequest

KEY = {"name": "x", "scopes": ["read"]}


def test_a_time_is_written_without_a_warning() -> None:
    body = CreateKeyRequest.model_validate(KEY | {"expires_at": "2126-08-01T02:00:00+02:00"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert '"expires_at":"2126-08-01T02:00:00+02:00"' in body.model_dump_json()


@pytest.mark.parametrize("value", [2126, "2126", True, "2126-08-01", "2126-08-01T00:00:00", ""])
def test_what_is_no_date_with_time_and_zone_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        CreateKeyRequest.model_validate(KEY | {"expires_at": value})
