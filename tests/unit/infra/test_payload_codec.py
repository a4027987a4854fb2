"""What Temporal stores is encrypted with the first key, and readable with every key."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

from infra.redaction import register
from infra.settings import Settings
from infra.temporal.client import data_converter
from infra.temporal.codec import PayloadDecryptionError, PayloadEncryption

OLD = {"old": "o" * 32}
NEW = {"new": "n" * 32}
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"goal by number seven"')


def converter(keys: str | None) -> DataConverter:
    return data_converter(Settings(temporal_keys=SecretStr(keys) if keys else None))


async def test_a_payload_is_decrypted_to_what_it_was() -> None:
    codec = PayloadEncryption(NEW)
    (encrypted,) = await codec.encode([PLAIN])
    assert b"goal" not in encrypted.SerializeToString()
    assert await codec.decode([encrypted]) == [PLAIN]


async def test_equal_payloads_differ_when_encrypted() -> None:
    one, other = await PayloadEncryption(NEW).encode([PLAIN, PLAIN])
    assert one.data != other.data


async def test_the_first_key_encrypts_and_all_keys_decrypt() -> None:
    rotated = PayloadEncryption(NEW | OLD)
    (before,) = await PayloadEncryption(OLD).encode([PLAIN])
    assert await rotated.decode([before]) == [PLAIN]
    (after,) = await rotated.encode([PLAIN])
    assert await PayloadEncryption(NEW).decode([after]) == [PLAIN]


async def test_payloads_from_before_encryption_stay_readable() -> None:
    assert await PayloadEncryption(NEW).decode([PLAIN]) == [PLAIN]


async def test_a_payload_whose_key_is_missing_is_refused_by_the_id_of_the_key() -> None:
    (encrypted,) = await PayloadEncryption(OLD).encode([PLAIN])
    with pytest.raises(PayloadDecryptionError, match=r"the key 'old', which HIGHLIGHTS_TEMPORAL"):
        await PayloadEncryption(NEW).decode([encrypted])


async def test_an_altered_payload_is_refused() -> None:
    codec = PayloadEncryption(NEW)
    (encrypted,) = await codec.encode([PLAIN])
    encrypted.data = encrypted.data[:-1] + bytes([encrypted.data[-1] ^ 1])
    with pytest.raises(PayloadDecryptionError, match="was altered"):
        await codec.decode([encrypted])


def test_without_keys_nothing_is_encrypted() -> None:
    assert converter(None).payload_codec is None


async def test_messages_of_a_failure_and_its_causes_are_encrypted_and_come_back() -> None:
    keyed = converter(f"k:{'k' * 32}")
    failure = Failure()
    await keyed.encode_failure(_failed("outer mark", "inner mark"), failure)
    assert b"mark" not in failure.SerializeToString()
    decoded = await keyed.decode_failure(failure)
    assert (str(decoded), str(decoded.__cause__)) == ("outer mark", "inner mark")


async def test_a_failure_that_is_passed_on_stays_encrypted_with_its_causes() -> None:
    keyed = converter(f"k:{'k' * 32}")
    first, second = Failure(), Failure()
    await keyed.encode_failure(_failed("outer mark", "inner mark"), first)
    await keyed.encode_failure(await keyed.decode_failure(first), second)
    assert b"mark" not in second.SerializeToString()
    assert str((await keyed.decode_failure(second)).__cause__) == "inner mark"


async def test_secrets_are_redacted_before_a_failure_is_encrypted() -> None:
    register("hush-hush-7f3a")
    keyed = converter(f"k:{'k' * 32}")
    failure = Failure()
    await keyed.encode_failure(_failed("no hush-hush-7f3a here", "hush-hush-7f3a"), failure)
    decoded = await keyed.decode_failure(failure)
    assert (str(decoded), str(decoded.__cause__)) == ("no *** here", "***")


def _failed(message: str, cause: str) -> ApplicationError:
    error = ApplicationError(message)
    error.__cause__ = ApplicationError(cause)
    return error
