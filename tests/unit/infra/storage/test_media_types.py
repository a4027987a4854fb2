"""The media type of a stored object."""

from __future__ import annotations

import pytest

from infra.storage.media_types import media_type


@pytest.mark.parametrize(
    ("key", "expected"),
    [("t/s/1.mp4", "video/mp4"), ("t/s/1.ts", "video/mp2t"), ("state", "application/octet-stream")],
)
def test_the_suffix_of_a_key_says_its_media_type(key: str, expected: str) -> None:
    assert media_type(key) == expected
