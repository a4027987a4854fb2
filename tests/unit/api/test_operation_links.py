"""Links lead from answers that exist to operations that exist, and take what they need along."""

from __future__ import annotations

import pytest

from api.openapi.document import EXAMPLES, LINKS, Link
from tests.openapi import operations, resolved


@pytest.mark.parametrize(
    ("source", "link"), [(source, link) for source, links in LINKS.items() for link in links]
)
def test_a_link_takes_a_value_of_the_answer_to_a_parameter(
    source: tuple[str, str], link: Link
) -> None:
    operation_id, status = source
    target = operations()[link.to]
    assert link.parameter in {*target.parameters("path"), *target.parameters("query")}
    schema = operations()[operation_id].success()[status]["content"]["application/json"]["schema"]
    for part in link.pointer.split("/")[1:]:
        schema = resolved(schema)
        schema = schema["items"] if part == "0" else schema["properties"][part]


def test_the_document_carries_every_link() -> None:
    carried = {
        (operation.id, status): set(response["links"])
        for operation in operations().values()
        for status, response in operation.spec["responses"].items()
        if "links" in response
    }
    assert carried == {source: {link.to for link in links} for source, links in LINKS.items()}


def test_every_example_is_of_a_parameter() -> None:
    names = {
        parameter["name"]
        for operation in operations().values()
        for parameter in operation.spec.get("parameters", ())
    }
    assert EXAMPLES.keys() - names == set()
