"""String types of request bodies and jobs: bounded, and free of control characters."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
# At least one visible character.
_NOT_BLANK = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_NOT_BLANK)]
Title = Annotated[str, StringConstraints(max_length=200, pattern=_PRINTABLE)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2048, pattern=r"^[\x21-\x7e]+$")]
