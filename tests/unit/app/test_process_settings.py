"""Settings of a command: the environment, the command line, a running installation."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from pathlib import Path

import pytest

from app.cli import main
from app.settings import read_settings, require_database, require_temporal
from infra.errors import InvalidSettingError, NotConfiguredError
from infra.settings import Settings
from infra.state_directory import Running, StateDirectory
from tests.fakes.s3_server import cdn_private_key


def test_the_command_line_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIGHLIGHTS_API_PORT", "9000")
    assert read_settings(api_port=9001).api_port == 9001


def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIGHLIGHTS_API_PORT", "eighty")
    with pytest.raises(InvalidSettingError, match="HIGHLIGHTS_API_PORT is wrong: must be a valid"):
        read_settings()


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("DATABASE_URL", "not-a-url", "postgresql://user:password@host:5432/database"),
        ("DATABASE_URL", "mysql://h/d", "its scheme is not one of postgresql"),
        ("DATABASE_URL", "postgresql://u:p@h", "it names no database"),
        ("DATABASE_URL", "postgresql:///d", "it names no host"),
        ("DATABASE_URL", "postgresql://h:99999/d", "its port is not between"),
        ("DATABASE_URL", "postgresql://h:port/d", "must be a URL such as"),
        ("DATABASE_OWNER_URL", "owner", "must be a URL such as"),
        ("TEMPORAL_ADDRESS", "http://h:7233", "must be host:port, without a scheme"),
        ("TEMPORAL_ADDRESS", "h:0", "must be host:port"),
        ("TEMPORAL_TLS", "maybe", "must be a valid boolean"),
        ("TEMPORAL_TLS_CLIENT_CERT_PATH", "/none", "there is no such file"),
        ("REDIS_URL", "localhost:6379", "begins with redis:// or rediss:// or unix://"),
        ("AMQP_URL", "http://h", "begins with amqp:// or amqps://"),
        ("CLIP_STORE", "s3://Bucket/clips", "the name of a bucket has 3 to 63 lowercase letters"),
        ("SEGMENT_STORE", "s3://bucket//a", "must be s3://bucket or s3://bucket/prefix: a prefix"),
        ("SEGMENT_STORE", "gs://bucket", "must be s3://bucket or s3://bucket/prefix, or a dir"),
        ("CLIP_STORE", __file__, "must be a directory or s3://bucket/prefix, and is a file"),
        ("CLIP_CDN_URL", "https://cdn.example", "has an effect only if CLIP_STORE is in S3"),
        ("HIGHLIGHTS_CLIP_CDN_KEY_ID", "K1", "needs CLIP_CDN_URL too"),
        ("HIGHLIGHTS_CLIP_CDN_DISTRIBUTION_ID", "E1", "needs CLIP_CDN_URL too"),
        ("HIGHLIGHTS_CLIP_CDN_PRIVATE_KEY", "secret", "an unencrypted RSA private key of 2048"),
        ("HIGHLIGHTS_S3_ENCRYPTION", "aes", "'bucket', 'sse-s3' or 'sse-kms'"),
        ("HIGHLIGHTS_S3_KMS_KEY_ID", "k", "only with HIGHLIGHTS_S3_ENCRYPTION=sse-kms"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "begins with http:// or https://"),
        ("HIGHLIGHTS_PUBLIC_BASE_URL", "api.example.com", "begins with http:// or https://"),
        ("HIGHLIGHTS_CORS_ORIGINS", "https://a.example/x", "must be origins such as"),
        ("HIGHLIGHTS_TRUSTED_PROXIES", "10.0.0.0/33", "IPv4 or IPv6 network"),
        ("HIGHLIGHTS_WORKER_QUEUES", "render", "task queues, of highlights, highlights-io"),
        ("HIGHLIGHTS_SIGNING_SECRET", "short", "a random text of 32 bytes or more"),
        ("HIGHLIGHTS_TEMPORAL_KEYS", "k" * 64, "must be keys such as 2026-11:SECRET"),
        ("HIGHLIGHTS_TEMPORAL_KEYS", "a:short", "that of key 1 is shorter"),
        ("HIGHLIGHTS_TEMPORAL_KEYS", f"a:{'k' * 32},a:{'l' * 32}", "that of key 2 is used before"),
        ("HIGHLIGHTS_FFMPEG_PATH", "/none", "there is no such file"),
        ("HIGHLIGHTS_FFMPEG_PATH", __file__, "a program that this process may run"),
        ("HIGHLIGHTS_DEFAULT_PLAN", "gold", "'free', 'starter', 'pro' or 'enterprise'"),
        ("HIGHLIGHTS_GEMINI_PRICES", "{oops", "it must be valid JSON"),
        ("HIGHLIGHTS_USAGE_PRICES", '{"clip_rendered": -1}', "(clip_rendered)"),
        ("HIGHLIGHTS_INGEST_STALL_TIMEOUT", "inf", "must be a finite number"),
    ],
)
def test_a_value_that_no_process_could_use_is_refused_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidSettingError) as refused:
        read_settings()
    assert refused.value.message.startswith(f"{variable} is wrong")
    assert allowed in refused.value.message


def test_a_cdn_needs_both_halves_of_its_key_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIP_STORE", "s3://bucket/clips")
    monkeypatch.setenv("CLIP_CDN_URL", "https://cdn.example")
    with pytest.raises(InvalidSettingError) as refused:
        read_settings()
    assert refused.value.message.splitlines() == [
        "HIGHLIGHTS_CLIP_CDN_KEY_ID is wrong: must be given with CLIP_CDN_URL.",
        "HIGHLIGHTS_CLIP_CDN_PRIVATE_KEY is wrong: must be given with CLIP_CDN_URL.",
    ]


@pytest.mark.parametrize("line_break", ["\n", "\\n"])
def test_a_private_key_may_be_on_one_line(monkeypatch: pytest.MonkeyPatch, line_break: str) -> None:
    monkeypatch.setenv("CLIP_STORE", "s3://bucket/clips")
    monkeypatch.setenv("CLIP_CDN_URL", "https://cdn.example")
    monkeypatch.setenv("HIGHLIGHTS_CLIP_CDN_KEY_ID", "K1")
    key = cdn_private_key()
    monkeypatch.setenv("HIGHLIGHTS_CLIP_CDN_PRIVATE_KEY", key.replace("\n", line_break))
    found = read_settings().clip_cdn_private_key
    assert found is not None
    assert found.get_secret_value() == key.strip()


NUMBERS = {
    name: variables[0]
    for name, variables in Settings.variables().items()
    if not isinstance(Settings.model_fields[name].default, bool)
    and isinstance(Settings.model_fields[name].default, int | float)
}


@pytest.mark.parametrize("variable", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("value", ["many", "nan", "-1", " "])
def test_every_number_is_checked(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidSettingError, match=f"^{variable} is wrong"):
        read_settings()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_no_message_repeats_a_secret(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    variable = Settings.variables()[name][0]
    monkeypatch.setenv(variable, "hush://hush:hush")
    with suppress(InvalidSettingError):
        read_settings()  # some take any text
        return
    with pytest.raises(InvalidSettingError) as refused:
        read_settings()
    if "SecretStr" in str(Settings.model_fields[name].annotation):
        assert "hush" not in str(refused.value)
    assert variable in refused.value.message


def test_a_line_break_after_a_secret_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", " postgresql://h/d\n")
    url = read_settings().database_url
    assert url is not None
    assert url.get_secret_value() == "postgresql://h/d"


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("HIGHLIGHTS_API_PROT", "HIGHLIGHTS_API_PORT"),
        ("highlights_api_prot", "HIGHLIGHTS_API_PORT"),
        ("HIGHLIGHTS_GEMINI_MODELL", "HIGHLIGHTS_GEMINI_MODEL"),
        ("DATABSE_URL", "DATABASE_URL"),
        ("REDIS_URI", "REDIS_URL"),
        ("TEMPORAL_ADRESS", "TEMPORAL_ADDRESS"),
        ("GEMINI_APIKEY", "GEMINI_API_KEY"),
        ("CLIPS_STORE", "CLIP_STORE"),
    ],
)
def test_a_mistyped_variable_is_refused_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, mistyped: str, meant: str
) -> None:
    monkeypatch.setenv(mistyped, "1")
    expected = f"{mistyped.upper()} is no setting. Did you mean {meant}?"
    with pytest.raises(InvalidSettingError, match=re.escape(expected)):
        read_settings()


def test_variables_of_others_and_of_our_clients_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HIGHLIGHTS_KEY", "HIGHLIGHTS_URL", "TEMPORAL_PROFILE", "DATABASE_NAME", "PATH"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/d")
    monkeypatch.setenv("DATABASE_URI", "of another program")
    assert read_settings().database_url is not None


def test_all_wrong_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIGHLIGHTS_API_PORT", "eighty")
    monkeypatch.setenv("CLIP_STORE", "gs://bucket")
    monkeypatch.setenv("HIGHLIGHTS_TYPO", "1")
    with pytest.raises(InvalidSettingError) as refused:
        read_settings()
    assert len(refused.value.message.splitlines()) == 3


@pytest.mark.parametrize("command", ["serve", "worker", "dev", "migrate", "setup", "demo"])
def test_every_command_refuses_a_wrong_setting_in_the_same_words(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLIP_STORE", "gs://bucket")
    monkeypatch.setattr("sys.argv", ["highlights", command])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "CLIP_STORE is wrong: must be s3://bucket or s3://bucket/prefix, or a" in said


def test_doctor_shows_each_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLIP_STORE", "gs://bucket")
    monkeypatch.setattr("sys.argv", ["highlights", "doctor", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["component"], found["state"], found["where"]) == (
        "Settings",
        "missing",
        "CLIP_STORE",
    )
    assert "must be s3://bucket or s3://bucket/prefix, or a directory" in found["advice"]


def test_a_configured_database_is_used(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url="postgresql://h/d")
    assert require_database(settings) is settings


def test_without_one_that_of_the_running_installation_is_used(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    running = Running(
        pid=os.getpid(),
        pids={},
        api_url="http://127.0.0.1:1",
        docs_url="http://127.0.0.1:1/docs",
        temporal_address="127.0.0.1:2",
        temporal_namespace="default",
        clips="/clips",
        database_url="postgresql://app@h/d",
        database_owner_url="postgresql://owner@h/d",
    )
    settings.state_path().mkdir(parents=True)
    StateDirectory(settings.state_path()).announce(running)
    completed = require_database(settings)
    assert completed.database_url is not None
    assert completed.database_url.get_secret_value() == "postgresql://app@h/d"
    assert completed.temporal_address == "127.0.0.1:2"
    assert require_temporal(settings).temporal_address == "127.0.0.1:2"
    configured = settings.model_copy(update={"temporal_address": "temporal:7233"})
    assert require_temporal(configured) is configured


def test_with_neither_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotConfiguredError, match="highlights dev"):
        require_database(Settings(home=tmp_path))
    with pytest.raises(NotConfiguredError, match="highlights dev"):
        require_temporal(Settings(home=tmp_path))
