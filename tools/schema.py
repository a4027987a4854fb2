"""Write what a new revision changes: the expected schema, and the hash of each revision."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.ext.asyncio import create_async_engine

from app.dev.postgres import PostgresServer
from infra.db.engine import asyncpg_url
from infra.db.migration import describe_schema, migrate

MIGRATIONS = Path(__file__).parents[1] / "migrations"


async def main() -> None:
    """Migrate an empty database and describe it."""
    with TemporaryDirectory(prefix="highlights-schema-") as path:
        root = Path(path)
        server = PostgresServer(root / "data", log=root / "postgres.log", durable=False)
        try:
            urls = await server.prepare()
            await migrate(urls.owner)
            engine = create_async_engine(asyncpg_url(urls.owner))
            async with engine.connect() as connection:
                lines = await describe_schema(connection)
            await engine.dispose()
        finally:
            server.stop()
    (MIGRATIONS / "schema.txt").write_text("\n".join(lines) + "\n", "utf-8")
    revisions = sorted((MIGRATIONS / "versions").glob("*.py"))
    hashes = [f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}" for each in revisions]
    (MIGRATIONS / "frozen.sha256").write_text("\n".join(hashes) + "\n", "utf-8")


if __name__ == "__main__":
    asyncio.run(main())
