"""What a request that creates a stream or recording does after its checks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncSession

from api.errors.problems import UnavailableProblem
from api.idempotency import Created
from api.services import Services
from api.streams.schemas import StreamModel
from app.services import streams as stream_service
from app.services.streams import NewStream
from infra.db.repositories.idempotency import StoredResponse


async def created_stream(
    services: Services,
    session: AsyncSession,
    new: NewStream,
    *,
    before: Callable[[], Awaitable[None]] | None = None,
) -> Created:
    """Create a stream, whose workflow starts after the commit: it first writes to this row.

    Args:
        services: of the API.
        session: of the transaction.
        new: the stream; one with its id that exists already is returned as it is.
        before: runs before the workflow starts. If it raises `UnavailableProblem`, the stream is
            deleted.
    """
    stream = await stream_service.find_or_create(session, services.creation, new)

    async def start() -> None:
        if before is not None:
            try:
                await before()
            except UnavailableProblem:
                await stream_service.withdraw(services.database, stream)
                raise
        await stream_service.start_or_withdraw(services.database, services.starter, stream)

    return Created(
        response=StoredResponse(
            status=201,
            headers={"Location": f"/v1/streams/{stream.id}"},
            body=StreamModel.of(stream).model_dump(mode="json"),
        ),
        start=start,
    )
