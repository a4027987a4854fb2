"""Ids are stable, and ids of different kinds do not collide."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.hms.effects import beam_stream_id
from domain.ids import (
    delivery_workflow_id,
    feedback_id,
    highlight_id,
    ids_of_workflow,
    stream_workflow_id,
)

ONE, TWO = UUID(int=1), UUID(int=2)
tenants = st.uuids(version=4)


def test_stored_ids_of_feedback_and_of_beams_are_what_they_were() -> None:
    feedback = feedback_id(highlight=ONE, author="a")
    assert feedback == UUID("59f67f34-18a3-5631-9ea8-80fc258e0de0")
    beam = beam_stream_id(tenant_id=ONE, connection_id=TWO, key="beam:a")
    assert beam == UUID("0f1e2be7-d4ed-5bc7-82c0-d5981b31ca7a")


@given(tenant=tenants, connection=st.uuids(), key=st.text(), peak=st.floats(0.0, 1e6))
def test_feedback_and_beams_share_a_namespace_and_cannot_collide(
    tenant: UUID, connection: UUID, key: str, peak: float
) -> None:
    """The name of one begins with a highlight's id (version 5), of the other with a tenant's (4).

    So they differ even if an author is named like a connection and a beam.
    """
    highlight = highlight_id(tenant_id=tenant, stream_id=connection, peak=peak)
    assert highlight.version != tenant.version
    beam = beam_stream_id(tenant_id=tenant, connection_id=connection, key=key)
    assert beam != feedback_id(highlight=highlight, author=f"{connection}/{key}")


@pytest.mark.parametrize(
    ("workflow_id", "expected"),
    [
        (
            stream_workflow_id(tenant_id=ONE, stream_id=TWO),
            {"tenant_id": str(ONE), "stream_id": str(TWO)},
        ),
        (
            delivery_workflow_id(tenant_id=ONE, endpoint_id=TWO, ordering_key="a/b"),
            {"tenant_id": str(ONE), "endpoint_id": str(TWO)},
        ),
        ("outbox-relay", {}),
        ("execution-reconcile-now", {}),
    ],
)
def test_a_workflow_id_names_tenant_and_subject(workflow_id: str, expected: dict[str, str]) -> None:
    assert ids_of_workflow(workflow_id) == expected
