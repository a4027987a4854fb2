"""Recordings: find highlights in a finished video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tldrtv_highlights._endpoint import Sent, given, keyed
from tldrtv_highlights._resource import Resource, Transport, operation
from tldrtv_highlights.models import Stream


class Recordings(Resource[Transport]):
    """Finished videos; each is a stream with `is_recording` set."""

    @operation("POST /v1/recordings", Stream, creates=True)
    def analyze(
        self,
        url: str,
        *,
        game: str | None = None,
        title: str | None = None,
        language: str | None = None,
        languages: Sequence[str] | None = None,
        criteria: str | None = None,
        external_id: str | None = None,
        policy: Mapping[str, Any] | None = None,
        max_height: int | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Find highlights in a media file, a VOD playlist, or a ZIP archive of one.

        Args:
            url: where it is.
            game: game, sport or league as people call it; selects the profile.
            title: for people; looked at where no game is given.
            language: such as `en`, so that the search finds words in all forms.
            languages: up to 8 (BCP 47), in which highlights get titles and tags.
            criteria: which moments to show, in a sentence: "goals and cards, no replays".
            external_id: your own id of the recording.
            max_height: of a master playlist, read the best variant of at most this height.
            policy: what may be shown of the highlights; the rest is that of your own policy.
            idempotency_key: by default a new one, so that a lost answer starts nothing twice.
        """
        return Sent(
            body=given(
                url=url,
                game=game,
                title=title,
                language=language,
                languages=languages,
                criteria=criteria,
                external_id=external_id,
                policy=policy,
                max_height=max_height,
            ),
            headers=keyed(idempotency_key),
        )

    @operation("POST /v1/recordings/upload", Stream, creates=True)
    def upload(
        self,
        file: Path | str,
        *,
        game: str | None = None,
        title: str | None = None,
        language: str | None = None,
        languages: Sequence[str] | None = None,
        criteria: str | None = None,
        external_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Upload a media file and find its highlights.

        Args:
            file: the media file, at most 4 GiB.
            game: game, sport or league as people call it; selects the profile.
            title: for people; looked at where no game is given.
            language: such as `en`, so that the search finds words in all forms.
            languages: up to 8 (BCP 47), in which highlights get titles and tags.
            criteria: which moments to show, in a sentence: "goals and cards, no replays".
            external_id: your own id of the recording.
            idempotency_key: by default a new one, so that a lost answer starts nothing twice.
        """
        return Sent(
            query={
                "game": game,
                "title": title,
                "language": language,
                "languages": languages,
                "criteria": criteria,
                "external_id": external_id,
            },
            headers=keyed(idempotency_key),
            file=Path(file),
        )
