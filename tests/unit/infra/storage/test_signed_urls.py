"""Signed URLs open one path until they expire."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.storage.signed_urls import UrlSigner, UrlVerdict

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
