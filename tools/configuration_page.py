"""`python -m tools.configuration_page`: docs/configuration.md, from the settings themselves."""

from __future__ import annotations

import sys
from typing import Final

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from infra.settings import Settings

_INTRODUCTION: Final = """# Configuration

Every setting is an environment variable. With none set, `highlights dev` runs everything on this
machine. This page is generated from `infra/settings/` by `make docs`.

White space around a secret (a key, or a URL with a password) is dropped, except of
`HIGHLIGHTS_SIGNING_SECRET`, which is hashed as it is. A secret that cannot be sent, such as a key
with a line break inside, is refused at the start by its name. The values of secrets, and what looks
like credentials in any text, are replaced by `***` in log lines, uncaught exceptions, Temporal
failures, problem documents and `highlights doctor` (`infra/redaction.py`).
"""


def render() -> str:
    """The page, in Markdown."""
    parts = [_INTRODUCTION]
    for section in Settings.sections:
        rows = [
            f"| {_names(name)} | {_default(field)} | {field.description} |"
            for name, field in section.model_fields.items()
        ]
        heading = f"## {section.heading}\n\n{section.__doc__}\n"
        table = ["| variable | default | meaning |", "|---|---|---|", *rows]
        parts.append(heading + "\n" + "\n".join(table) + "\n")
    return "\n".join(parts)


def _names(name: str) -> str:
    return " or ".join(f"`{variable}`" for variable in Settings.variables()[name])


def _default(field: FieldInfo) -> str:
    if field.default in (None, (), PydanticUndefined):
        return "none"
    return f"`{field.default}`"


if __name__ == "__main__":
    sys.stdout.write(render())
