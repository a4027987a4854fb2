"""Tenants read our own sentences, never the text of an exception."""

from __future__ import annotations

import pytest
from temporalio.exceptions import ApplicationError

from workflows.steps import tenant_message


def behind(cause: BaseException) -> Exception:
    try:
        raise RuntimeError("activity failed") from cause  # noqa: TRY301
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (ApplicationError("segment 4 is no longer stored", type="media_gone"), "segment 4"),
        (ApplicationError("ffmpeg: /srv/x: exit 1", type="FfmpegError"), "A mistake of ours."),
        (ApplicationError("no type"), "A mistake of ours."),
        (OSError("/srv/secret"), "A mistake of ours."),
    ],
)
def test_only_errors_with_a_code_of_ours_are_shown(cause: BaseException, message: str) -> None:
    assert tenant_message(behind(cause), otherwise="A mistake of ours.").startswith(message)
