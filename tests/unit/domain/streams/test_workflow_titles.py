"""Lines by which operators find a stream in the Temporal UI."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.streams.report import stream_title


def test_a_title_says_tenant_room_and_title() -> None:
    assert (
        stream_title(tenant="acme", room="room-7", title="Cup final", game="soccer")
        == "acme · room-7 · Cup final"
    )


def test_a_stream_without_room_and_title_is_named_by_its_game() -> None:
    assert stream_title(tenant="acme", room=None, title="", game="soccer") == "acme · soccer"


@given(st.text(), st.text(), st.text())
def test_a_title_is_one_printable_line_that_the_server_takes(
    tenant: str, room: str, title: str
) -> None:
    line = stream_title(tenant=tenant, room=room, title=title, game="soccer")
    assert len(line.encode()) <= 180
    assert line.isprintable()
