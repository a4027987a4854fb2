"""A row in each table of any revision, made of nothing but what the catalogue says of its columns.

A new table is filled without anybody thinking of it; one whose constraints ask for more than a
value of the column's type gets it in `SPECIAL`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Column, Connection, MetaData, Table, inspect, text, types
from sqlalchemy.dialects.postgresql import JSONB

NAMESPACE = UUID(int=0)
WHEN = datetime(2026, 5, 2, 19, tzinfo=UTC)
SPECIAL: dict[tuple[str, str], Any] = {("clips", "thumbnail_hash"): "0123456789abcdef"}
"""Values by table and column."""

_SIMPLE: tuple[tuple[type[types.TypeEngine[Any]], Any], ...] = (
    (JSONB, []),
    (types.ARRAY, []),
    (types.Boolean, True),
    (types.Numeric, 1),
    (types.Float, 1.0),
    (types.Integer, 1),
    (types.DateTime, WHEN),
    (types.LargeBinary, b"x"),
)
_LISTED = re.compile(r"'([^']+)'::text")

Row = dict[str, Any]


def reflected(connection: Connection) -> MetaData:
    """The tables there are, in the order in which they can be filled."""
    metadata = MetaData()
    metadata.reflect(connection)
    metadata.remove(metadata.tables["alembic_version"])
    return metadata


def act_as(connection: Connection, tenant: UUID) -> None:
    """Let the transaction be the tenant's."""
    connection.execute(
        text("SELECT set_config('app.tenant_id', :tenant, true)"), {"tenant": str(tenant)}
    )


def fill(connection: Connection, tenant: UUID) -> dict[str, Row]:
    """Insert a row of `tenant` into each table; return them by table."""
    act_as(connection, tenant)
    rows: dict[str, Row] = {}
    for table in reflected(connection).sorted_tables:
        row = _row(connection, table, tenant, rows)
        connection.execute(table.insert().values(row))
        rows[table.name] = row
    return rows


def counts(connection: Connection, tenant: UUID) -> dict[str, int]:
    """How many rows of `tenant` each table has."""
    act_as(connection, tenant)
    found = {}
    for table in reflected(connection).sorted_tables:
        own = table.c.id if table.name == "tenants" else table.c.tenant_id
        rows = connection.execute(table.select().where(own == tenant)).all()
        found[table.name] = len(rows)
    return found


def _row(connection: Connection, table: Table, tenant: UUID, rows: dict[str, Row]) -> Row:
    listed = _listed(connection, table)
    row: Row = {}
    for column in table.columns:
        if column.identity is None and column.computed is None:
            row[column.name] = _value(table, column, listed.get(column.name))
    for constraint in table.foreign_key_constraints:
        if constraint.referred_table is table:  # the row would have to be there before itself
            row |= dict.fromkeys(key.parent.name for key in constraint.elements)
            continue
        for key in constraint.elements:
            row[key.parent.name] = rows[key.column.table.name][key.column.name]
    row["id" if table.name == "tenants" else "tenant_id"] = tenant
    return row


def _value(table: Table, column: Column[Any], listed: str | None) -> Any:  # noqa: ANN401
    place = (table.name, column.name)
    if place in SPECIAL:
        return SPECIAL[place]
    if listed is not None:
        return listed
    stored = getattr(column.type, "impl_instance", column.type)
    if isinstance(stored, types.Uuid):
        return uuid5(NAMESPACE, ".".join(place))
    if isinstance(stored, types.Text):
        return ".".join(place)
    simple = next(value for kind, value in _SIMPLE if isinstance(stored, kind))
    return 2 if column.name == "end" else simple  # whatever ends does so after it starts


def _listed(connection: Connection, table: Table) -> dict[str, str]:
    """The first value of each column that takes only some."""
    found = {}
    for check in inspect(connection).get_check_constraints(table.name):
        values = _LISTED.findall(check["sqltext"])
        if values:
            found[check["sqltext"].split(" ", 1)[0].strip("(")] = values[0]
    return found
