"""The names that generators make classes and functions of."""

from __future__ import annotations

import json
import re
from copy import deepcopy

import pytest

from api.openapi.names import AmbiguousSchemaError, name_schemas
from tests.openapi import document, operations

SCHEMAS = document()["components"]["schemas"]


def test_schemas_have_public_names_that_are_also_their_titles() -> None:
    for name, schema in SCHEMAS.items():
        assert re.fullmatch(r"(?:[A-Z][a-z0-9]+)+", name), name
        assert not name.endswith("Model"), name
        assert schema["title"] == name


def test_no_name_is_one_that_generators_make_for_an_object_within_another() -> None:
    """They name it after the schema and the property, and drop one of two that are alike."""
    made = {
        name + "".join(word.capitalize() for word in re.split(r"[_\W]+", field)): name
        for name, schema in SCHEMAS.items()
        for field, inner in schema.get("properties", {}).items()
        if inner.get("type") == "object" or "enum" in inner
    }
    assert made.keys() & SCHEMAS.keys() == set()


def test_every_reference_leads_somewhere() -> None:
    referred = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document())))
    assert referred == set(SCHEMAS)


def test_no_name_in_the_document_shows_modules_or_generics() -> None:
    text = json.dumps(document())
    assert not re.search(r"\b(api|domain|infra)__|Page[_\[]|EventMessage|<\w+\.\w+:", text)


def test_operations_have_names_in_camel_case_that_are_theirs_alone() -> None:
    hooks = [item["post"]["operationId"] for item in document()["webhooks"].values()]
    names = [*operations(), *hooks]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]+(?:[A-Z][a-z0-9]+)*", name) for name in names)


@pytest.mark.parametrize("name", ["Stream", "StreamList", "ClipReadyEvent", "SpellingCorrection"])
def test_names_that_clients_have_been_made_of_stay(name: str) -> None:
    assert name in SCHEMAS


def test_two_schemas_of_one_name_are_an_error() -> None:
    schemas = {"StreamModel": {"type": "object"}, "Stream": {"type": "string"}}
    with pytest.raises(AmbiguousSchemaError):
        name_schemas({"components": {"schemas": deepcopy(schemas)}})
