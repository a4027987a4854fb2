"""Signed URLs open one path until they expire."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from infra.storage.signed_urls import CloudFrontLinks, UrlSigner, UrlVerdict, read_rsa_key
from tests.s3_server import cdn_private_key

SIGNER = UrlSigner(b"0" * 32)
PATH = "/v1/clips/1/download"
TENANT = UUID(int=1)


def signature_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["signature"][0]


def judge(
    signature: str,
    *,
    path: str = PATH,
    tenant: UUID = TENANT,
    expires: int = 1000,
    now: float = 0.0,
) -> UrlVerdict:
    return SIGNER.check(path, tenant_id=tenant, expires=expires, signature=signature, now=now)


def test_a_signed_url_is_valid_until_it_expires() -> None:
    signature = signature_of(SIGNER.sign(PATH, tenant_id=TENANT, expires=1000))
    assert judge(signature, now=1000.0) is UrlVerdict.VALID
    assert judge(signature, now=1000.1) is UrlVerdict.EXPIRED


@pytest.mark.parametrize(
    ("path", "tenant", "expires"),
    [
        ("/v1/clips/2/download", TENANT, 1000),
        (PATH, UUID(int=2), 1000),
        (PATH, TENANT, 2000),
    ],
)
def test_a_signature_is_for_one_path_tenant_and_expiry(
    path: str, tenant: UUID, expires: int
) -> None:
    signature = signature_of(SIGNER.sign(PATH, tenant_id=TENANT, expires=1000))
    assert judge(signature, path=path, tenant=tenant, expires=expires) is UrlVerdict.FORGED


def test_another_secret_signs_nothing() -> None:
    signature = signature_of(UrlSigner(b"1" * 32).sign(PATH, tenant_id=TENANT, expires=1000))
    assert judge(signature) is UrlVerdict.FORGED


@given(st.text())
def test_any_other_text_is_a_forgery_and_no_error(text: str) -> None:
    assert judge(text) is UrlVerdict.FORGED


def cdn_links(base_url: str = "https://cdn.test/clips/") -> CloudFrontLinks:
    return CloudFrontLinks(base_url=base_url, key_id="K1", private_key=cdn_private_key())


def unescaped(value: str) -> bytes:
    """Undo the alphabet in which CloudFront's base64 fits into a query."""
    return base64.b64decode(value.translate(str.maketrans("-_~", "+=/")))


def test_cloudfront_can_verify_a_url_with_the_public_key() -> None:
    url = cdn_links().sign("t/s/1.mp4", expires=1_800_000_000)
    parts, query = urlsplit(url), parse_qs(urlsplit(url).query)
    plain = f"https://cdn.test{parts.path}"
    assert plain == "https://cdn.test/clips/t/s/1.mp4"
    assert (query["Expires"], query["Key-Pair-Id"]) == (["1800000000"], ["K1"])
    # The canned policy, which CloudFront composes itself out of URL and expiry.
    condition = {"DateLessThan": {"AWS:EpochTime": 1_800_000_000}}
    policy = {"Statement": [{"Resource": plain, "Condition": condition}]}
    text = json.dumps(policy, separators=(",", ":")).encode()
    public = read_rsa_key(cdn_private_key()).public_key()
    signature = unescaped(query["Signature"][0])
    public.verify(signature, text, PKCS1v15(), SHA1())  # noqa: S303
    with pytest.raises(InvalidSignature):
        public.verify(signature, text.replace(b"1", b"2"), PKCS1v15(), SHA1())  # noqa: S303


def test_the_same_file_and_expiry_give_the_same_cloudfront_url() -> None:
    assert cdn_links().sign("a", expires=9) == cdn_links("https://cdn.test/clips").sign(
        "a", expires=9
    )


def pem(key: ec.EllipticCurvePrivateKey | None, encryption: KeySerializationEncryption) -> str:
    kept = key or read_rsa_key(cdn_private_key())
    return kept.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


@pytest.mark.parametrize(
    "text",
    [
        "no key",
        pem(ec.generate_private_key(ec.SECP256R1()), NoEncryption()),
        pem(None, BestAvailableEncryption(b"password")),
        generate_private_key(65537, 1024)  # noqa: S505
        .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        .decode(),
    ],
    ids=["text", "elliptic", "encrypted", "short"],
)
def test_a_key_that_cloudfront_does_not_take_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unencrypted RSA private key of 2048 bits or more"):
        read_rsa_key(text)
