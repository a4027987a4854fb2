"""AES-128 segments are read with their keys; what cannot be decrypted says why."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response

from domain.media.segments import GapReason
from domain.streams.status import EndReason
from infra.media.decryption import DecryptionError, decrypt, decrypt_file
from tests.integration.ingest.harness import (
    IMPATIENT,
    IN_PARTS,
    QUICK,
    Answer,
    IngestHarness,
    PartsOrigin,
    static_origin,
)
from tests.integration.ingest.test_recordings import Recorder, recorder, retention

pytestmark = pytest.mark.timeout(60)

__all__ = ["recorder", "retention"]

KEY, OTHER_KEY, VECTOR = b"0123456789abcdef", b"fedcba9876543210", bytes(range(16))
HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n"


def encrypt(data: bytes, *, key: bytes = KEY, vector: bytes = VECTOR) -> bytes:
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    return encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()


def number(sequence: int) -> bytes:
    return sequence.to_bytes(16, "big")


def listed(*entries: str, first: int = 0) -> str:
    return HEAD.format(first=first) + "\n".join(entries) + "\n#EXT-X-ENDLIST\n"


@IN_PARTS
async def test_keys_change_and_stop_within_a_stream(
    ingest: IngestHarness, segments: dict[str, bytes], in_parts: bool
) -> None:
    plain = list(segments.values())
    answers: dict[str, Answer | str | bytes] = {
        "keys/one": KEY,
        "keys/two": OTHER_KEY,
        "0.ts": encrypt(plain[0], vector=number(700)),
        "1.ts": encrypt(plain[1], vector=number(701)),
        "2.ts": encrypt(plain[2]),
        "3.ts": encrypt(plain[3], key=OTHER_KEY, vector=number(703)),
        "4.ts": plain[4],
    }
    async with static_origin(answers) as (base, hits):
        answers["live.m3u8"] = listed(
            '#EXT-X-KEY:METHOD=AES-128,URI="keys/one"',
            *("#EXTINF:1,", "0.ts", "#EXTINF:1,", "1.ts"),
            f'#EXT-X-KEY:METHOD=AES-128,URI="{base}/keys/one",IV=0x{VECTOR.hex()}',
            *("#EXTINF:1,", "2.ts"),
            '#EXT-X-KEY:METHOD=AES-128,URI="keys/two",KEYFORMAT="identity"',
            *("#EXTINF:1,", "3.ts", "#EXT-X-KEY:METHOD=NONE", "#EXTINF:1,", "4.ts"),
            first=700,
        )
        if in_parts:
            answers |= PartsOrigin(answers, "live.m3u8").answers
        story = await ingest.follow(f"{base}/live.m3u8", IMPATIENT)
        assert (hits["keys/one"], hits["keys/two"]) == (1, 1)
        assert [f"{n}.1.ts" for n in range(5) if hits[f"{n}.1.ts"]] == ["4.1.ts"] * in_parts
    assert story.gaps == []
    assert [await ingest.store.read(each.key) for each in story.segments] == plain[:5]


@IN_PARTS
async def test_an_encrypted_initialization_section_is_read_with_its_vector(
    ingest: IngestHarness, fmp4: dict[str, bytes], in_parts: bool
) -> None:
    key = f'#EXT-X-KEY:METHOD=AES-128,URI="key",IV=0x{VECTOR.hex()}'
    answers: dict[str, Answer | str | bytes] = {
        "key": KEY,
        "init.mp4": encrypt(fmp4["init.mp4"]),
        "seg0.m4s": encrypt(fmp4["seg0.m4s"]),
        "seg1.m4s": fmp4["seg1.m4s"],
    }
    answers["live.m3u8"] = listed(
        key, '#EXT-X-MAP:URI="init.mp4"', "#EXTINF:1,", "seg0.m4s"
    ).replace("#EXT-X-ENDLIST", "#EXT-X-KEY:METHOD=NONE\n#EXTINF:1,\nseg1.m4s\n#EXT-X-ENDLIST")
    if in_parts:
        answers = PartsOrigin(answers, "live.m3u8").answers
    async with static_origin(answers) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", IMPATIENT)
    assert story.sequences == [0, 1]


async def test_a_key_is_asked_for_with_the_cookies_of_its_stream_and_again_after_an_error(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    cookies: list[str | None] = []

    def key(request: Request) -> Response:
        cookies.append(request.cookies.get("session"))
        return Response(KEY) if len(cookies) > 1 else Response(status_code=503)

    def playlist(_: Request) -> Response:
        response = Response(
            listed(
                '#EXT-X-KEY:METHOD=AES-128,URI="key"', "#EXTINF:1,", "0.ts", "#EXTINF:1,", "1.ts"
            )
        )
        response.set_cookie("session", "mine")
        return response

    answers: dict[str, Answer | str | bytes] = {
        "live.m3u8": playlist,
        "key": key,
        "0.ts": encrypt(segments["seg0.ts"], vector=number(0)),
        "1.ts": encrypt(segments["seg1.ts"], vector=number(1)),
    }
    async with static_origin(answers) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", QUICK)
    assert story.sequences == [0, 1]
    assert cookies == ["mine", "mine"]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ('METHOD=AES-128,URI="refused"', "the origin answers 403"),
        ('METHOD=AES-128,URI="missing"', "the origin answers 404"),
        ('METHOD=AES-128,URI="short"', "5 bytes instead of 16"),
        ('METHOD=AES-128,URI="http://169.254.169.254/key"', "not on the public internet"),
        ('METHOD=AES-128,URI="data:text/plain;base64,AAAAAAAAAAAAAAAAAAAAAA=="', "must begin with"),
        ("METHOD=AES-128", "no readable URL"),
        ('METHOD=SAMPLE-AES,URI="key"', "SAMPLE-AES"),
        ('METHOD=SAMPLE-AES-CTR,URI="key",KEYFORMAT="urn:uuid:edef8ba9"', "DRM system"),
        ('METHOD=AES-128,URI="skd://key",KEYFORMAT="com.apple.streamingkeydelivery"', "DRM system"),
    ],
)
async def test_a_stream_that_cannot_be_decrypted_says_why(
    ingest: IngestHarness, segments: dict[str, bytes], key: str, words: str
) -> None:
    answers: dict[str, Answer | str | bytes] = {
        "live.m3u8": listed(f"#EXT-X-KEY:{key}", *("#EXTINF:1,", "seg0.ts") * 4),
        "refused": lambda _: Response(status_code=403),
        "short": b"short",
        **segments,
    }
    async with static_origin(answers) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", QUICK)
    assert story.reason is EndReason.ENCRYPTED
    assert words in story.message
    assert "Publish a variant in the clear" in story.message


async def test_an_encrypted_segment_in_a_clear_stream_is_a_gap(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    names = list(segments)
    entries = [line for name in names[:2] for line in ("#EXTINF:1,", name)]
    entries += ['#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k"', "#EXTINF:1,", names[2]]
    entries += ["#EXT-X-KEY:METHOD=NONE", "#EXTINF:1,", names[3]]
    answers: dict[str, Answer | str | bytes] = {"live.m3u8": listed(*entries), **segments}
    async with static_origin(answers) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", IMPATIENT)
    assert story.reason is EndReason.PLAYLIST_ENDED
    assert story.sequences == [0, 1, 3]
    assert [(gap.reason, gap.first_sequence) for gap in story.gaps] == [(GapReason.UNREACHABLE, 2)]
    assert "SAMPLE-AES" in story.gaps[0].detail


async def test_a_key_that_does_not_fit_is_read_again(
    ingest: IngestHarness, segments: dict[str, bytes]
) -> None:
    keys = [OTHER_KEY, KEY]

    def key(_: Request) -> Response:
        return Response(keys.pop(0) if len(keys) > 1 else keys[0])

    answers: dict[str, Answer | str | bytes] = {
        "live.m3u8": listed('#EXT-X-KEY:METHOD=AES-128,URI="key"', "#EXTINF:1,", "0.ts"),
        "key": key,
        "0.ts": encrypt(segments["seg0.ts"], vector=number(0)),
    }
    async with static_origin(answers) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8", IMPATIENT)
    assert story.sequences == [0]


async def test_an_encrypted_recording_is_read_with_its_key(
    recorder: Recorder, segments: dict[str, bytes]
) -> None:
    text = listed('#EXT-X-KEY:METHOD=AES-128,URI="key"', "#EXTINF:1,", "0.ts", "#EXTINF:1,", "1.ts")
    answers: dict[str, Answer | str | bytes] = {
        "vod.m3u8": text.replace("#EXT-X-TARGET", "#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-TARGET"),
        "key": KEY,
        "0.ts": encrypt(segments["seg0.ts"], vector=number(0)),
        "1.ts": encrypt(segments["seg1.ts"], vector=number(1)),
    }
    async with static_origin(answers) as (base, _):
        window = (await recorder.fetch(await recorder.survey(f"{base}/vod.m3u8"))).window
    assert window is not None
    assert len(window.segments) == 2
    assert window.gaps == ()


@given(data=st.binary(max_size=600))
def test_padding_is_removed_and_a_wrong_end_is_noticed(data: bytes) -> None:
    encrypted = encrypt(data)
    assert decrypt(encrypted, key=KEY, vector=VECTOR) == data
    with pytest.raises(DecryptionError):
        decrypt(encrypted[:-1], key=KEY, vector=VECTOR)
    with pytest.raises(DecryptionError):
        decrypt(b"", key=KEY, vector=VECTOR)


def test_a_large_segment_is_decrypted_in_pieces(tmp_path: Path) -> None:
    data = bytes(range(256)) * 3000
    (tmp_path / "in").write_bytes(encrypt(data))
    written = decrypt_file(
        tmp_path / "in", tmp_path / "out", key=KEY, vector=VECTOR, prefix=b"init"
    )
    assert written == len(data) + 4
    assert (tmp_path / "out").read_bytes() == b"init" + data
