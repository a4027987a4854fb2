"""Media that is refused while its stream goes on is shown, with a code of its own, until mended."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.requests import Request
from starlette.responses import Response

from domain.ingest.messages import FetchWindowInput, FetchWindowResult
from domain.streams.status import ProblemCode
from tests.integration.ingest.harness import QUICK, Answer, IngestHarness, static_origin
from tests.integration.ingest.test_encryption import KEY, OTHER_KEY, encrypt
from tests.integration.ingest.test_separate_audio import MASTER, Files, split

pytestmark = pytest.mark.timeout(60)

__all__ = ["split"]

LIMITS = QUICK.model_copy(update={"window_duration": 60.0})
SAMPLE_AES = 'METHOD=SAMPLE-AES,URI="key"'


async def until(
    ingest: IngestHarness, request: FetchWindowInput, code: ProblemCode | None
) -> tuple[FetchWindowInput, FetchWindowResult]:
    """Fetch windows as the workflow does, until one reports this problem."""
    while True:
        result = await ingest.window(request)
        assert result.end is None
        request = request.model_copy(update={"cursor": result.cursor, "problem": result.problem})
        if (result.problem.code if result.problem else None) is code:
            return request, result


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (SAMPLE_AES, "SAMPLE-AES"),
        ('METHOD=AES-128,URI="refused"', "403"),
        ('METHOD=AES-128,URI="key"', "cannot be decrypted with its key"),
    ],
)
async def test_segments_that_cannot_be_decrypted_are_shown_until_others_can_be_read(
    ingest: IngestHarness, segments: Files, key: str, words: str
) -> None:
    ingest.activities = ingest.worker(report_after=0.2)
    names = list(segments)
    mended = False

    def playlist(_: Request) -> Response:
        lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:1,", names[0]]
        lines += [f"#EXT-X-KEY:{key}", *("#EXTINF:1,", "locked.ts") * 2]
        lines += ["#EXT-X-KEY:METHOD=NONE"]
        for name in names[3:] if mended else ():
            lines += ["#EXTINF:1,", name]
        return Response("\n".join(lines))

    answers: dict[str, Answer | str | bytes] = {
        "live.m3u8": playlist,
        "refused": lambda _: Response(status_code=403),
        "key": KEY,
        "locked.ts": encrypt(segments[names[1]], key=OTHER_KEY),
        **segments,
    }
    async with static_origin(answers) as (base, _):
        request = ingest.request(f"{base}/live.m3u8", LIMITS)
        request, shown = await until(ingest, request, ProblemCode.MEDIA_ENCRYPTED)
        assert shown.problem is not None
        assert words in shown.problem.message
        mended = True
        _, result = await until(ingest, request, None)
    assert result.cursor.stored_segments >= 1 + 3


async def test_one_encrypted_segment_is_a_gap_and_no_problem_of_the_stream(
    ingest: IngestHarness, segments: Files
) -> None:
    ingest.activities = ingest.worker(report_after=0.0)
    names = list(segments)
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:1,", names[0]]
    lines += [f"#EXT-X-KEY:{SAMPLE_AES}", "#EXTINF:1,", names[1], "#EXT-X-KEY:METHOD=NONE"]
    lines += ["#EXTINF:1,", names[2], "#EXT-X-ENDLIST"]
    answers: dict[str, Answer | str | bytes] = {"live.m3u8": "\n".join(lines), **segments}
    async with static_origin(answers) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", LIMITS)
    assert [result.problem for result in story.results] == [None]
    assert [gap.first_sequence for gap in story.gaps] == [1]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("playlist", "its playlist: the origin answers 403"),
        ("segments", "the origin answers 404"),
        ("key", "SAMPLE-AES"),
    ],
)
async def test_separate_audio_that_cannot_be_read_is_shown_until_it_can(
    ingest: IngestHarness, split: Callable[[str, str], Files], broken: str, words: str
) -> None:
    ingest.activities = ingest.worker(report_after=0.2)
    pictures, sound = split("v", "ts"), split("a", "ts")
    listed = pictures["pictures.m3u8"].decode().split("#EXTINF")
    whole = sound["sound.m3u8"].decode().partition("#EXT-X-END")[0]
    mended = False

    def growing(_: Request) -> Response:
        return Response("#EXTINF".join(listed if mended else listed[:3]).partition("#EXT-X-END")[0])

    def heard(_: Request) -> Response:
        if mended:
            return Response(whole)
        if broken == "playlist":
            return Response(status_code=403)
        key = f"#EXT-X-KEY:{SAMPLE_AES}\n" if broken == "key" else ""
        return Response(whole.replace("sound", "absent").replace("#EXTINF", f"{key}#EXTINF", 1))

    answers: dict[str, Answer | str | bytes] = {"master.m3u8": MASTER, **sound, **pictures}
    answers |= {"pictures.m3u8": growing, "sound.m3u8": heard}
    async with static_origin(answers) as (base, _):
        request = ingest.request(f"{base}/master.m3u8", LIMITS)
        request, shown = await until(ingest, request, ProblemCode.AUDIO_UNAVAILABLE)
        assert shown.problem is not None
        assert words in shown.problem.message
        mended = True
        _, result = await until(ingest, request, None)
    assert result.window is not None
    assert result.window.segments[-1].has_audio
