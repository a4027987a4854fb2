"""What a request changes of a 100ms connection, as columns."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import ValidationError

from api.connections.schemas import ConnectionPatch
from api.errors.handlers import message_of
from api.errors.problems import FieldProblem, InvalidRequestProblem
from domain.hms.admission import Checks
from infra.connection_secrets import ConnectionSecrets


def plain_columns(body: ConnectionPatch) -> dict[str, Any]:
    """Return the columns that a request sets as they are; null clears what may be empty."""
    given = body.model_dump(
        exclude_unset=True, include={"name", "account_id", "app_id", "game", "title"}
    )
    return {
        name: value
        for name, value in given.items()
        if value is not None or name in {"account_id", "app_id", "game"}
    }


def checks_after(body: ConnectionPatch, before: Checks) -> Checks:
    """Return the checks that a request leaves.

    Raises:
        InvalidRequestProblem: together they make no sense.
    """
    if body.checks is None:
        return before
    try:
        return body.checks.over(before)
    except ValidationError as error:
        raise InvalidRequestProblem(
            errors=[
                FieldProblem(
                    pointer="/".join(("/checks", *(str(part) for part in each["loc"]))),
                    detail=message_of(each),
                )
                for each in error.errors()
            ]
        ) from error


def management_columns(
    body: ConnectionPatch, secrets: ConnectionSecrets, *, connection_id: UUID
) -> dict[str, str | bytes | None]:
    """Return the columns of the management key; none where the request does not speak of it."""
    if "management" not in body.model_fields_set:
        return {}
    if body.management is None:
        return {"management_access_key": None, "management_secret": None}
    secret = body.management.secret.get_secret_value()
    return {
        "management_access_key": body.management.access_key,
        "management_secret": secrets.encrypt(secret, connection_id=connection_id),
    }
