"""Keeping secrets out of logs, exceptions, problem texts and reports: one rule for all of them.

`redact` replaces the value of every secret setting, in whatever form it is written, and what looks
like a credential in any text: the user part of a URL, tokens in a query, an Authorization header,
keys of Google, of ours and of webhook endpoints. What leaves the process as text passes it: log
lines, uncaught exceptions, Temporal failures, problem documents, `highlights doctor`.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

from pydantic import SecretStr

MASK: Final = "***"

_SHORTEST: Final = 6
"""Characters below which a value is too common to be replaced wherever it stands."""

# Passwords of development that are words of every log line; in URLs they are replaced all the same.
_WORDS: Final = frozenset(
    {"highlights", "postgres", "postgresql", "password", "rabbitmq", "secret"}
)
_PEM_FRAME: Final = "-----"
# Secrets that libraries read from the environment.
_ENVIRONMENT: Final = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "OTEL_EXPORTER_OTLP_HEADERS")

_NAMED: Final = (
    r"key|api[_-]?key|access[_-]?key|access[_-]?token|token|secret|password|passwd|pwd|sig"
    r"|signature|x-amz-signature|x-amz-credential|x-amz-security-token|auth|authorization"
)
_PATTERNS: Final = (
    # scheme://user:password@host, also with one part only.
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}://)[^\s/?#\"'<>]*@"), rf"\1{MASK}@"),
    (re.compile(rf"(?i)([?&;](?:{_NAMED})=)[^\s&;#\"'<>\\]+"), rf"\1{MASK}"),
    # A token has a digit, a word has none.
    (re.compile(r"(?i)\b(bearer|basic)(\s+)(?=\S*\d)[a-z0-9._~+/=-]{8,}"), rf"\1\2{MASK}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+"), MASK),
    (re.compile(r"\bAKIA[0-9A-Z]{16}\b"), MASK),
    (re.compile(r"\bAIza[\w-]{10,}"), MASK),
    (re.compile(r"\bwhsec_[A-Za-z0-9+/=_-]{8,}"), MASK),
    (re.compile(r"\bhl_(live|test)_[A-Za-z0-9]{16,}"), rf"hl_\1_{MASK}"),
)


class _Known:
    """Secret values of this process, and the expression that finds them."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self.pattern: re.Pattern[str] | None = None

    def add(self, values: Iterable[str]) -> None:
        forms = {form for value in values for form in _forms(value)} - self._forms
        if forms:
            self._forms |= forms
            longest_first = sorted(self._forms, key=len, reverse=True)
            self.pattern = re.compile("|".join(map(re.escape, longest_first)))


_known: Final = _Known()


def register(*secrets: SecretStr | str | None) -> None:
    """Remember secrets of this process, to be replaced in every text from now on.

    Of a URL the password is secret, of a text of several lines each line.
    """
    for secret in secrets:
        if secret is not None:
            value = secret if isinstance(secret, str) else secret.get_secret_value()
            _known.add(_secret_parts(value))


def register_environment() -> None:
    """Remember the secrets in the environment that no setting of ours holds."""
    register(*(os.environ.get(name) for name in _ENVIRONMENT))


def redact(text: str) -> str:
    """Return a text without secrets."""
    if _known.pattern is not None:
        text = _known.pattern.sub(MASK, text)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def header_problem(value: str) -> str | None:
    """Return why a secret cannot be sent in a header, to be read after "it"; None if it can."""
    if not value.strip():
        return "is empty"
    if any(character.isspace() for character in value):
        return "has spaces or line breaks"
    if not value.isascii() or not value.isprintable():
        return "has characters that are not printable ASCII"
    return None


def print_exceptions_redacted() -> None:
    """Print uncaught exceptions of this process and its threads without secrets."""
    sys.excepthook = _excepthook
    threading.excepthook = _thread_excepthook


def _excepthook(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))


def _thread_excepthook(args: threading.ExceptHookArgs) -> None:
    error = args.exc_value or args.exc_type()
    _excepthook(args.exc_type, error, args.exc_traceback)


def _secret_parts(value: str) -> list[str]:
    stripped = value.strip()
    if "://" not in stripped:
        lines = [line for line in stripped.splitlines() if not line.startswith(_PEM_FRAME)]
        return [value, stripped, *lines]
    try:
        password = urlsplit(stripped).password
    except ValueError:
        return [value, stripped]
    return [password] if password else []


def _forms(value: str) -> set[str]:
    """Return the ways in which a secret may be written: quoted, escaped, as part of a URL."""
    decoded = unquote(value)
    plain = {value, decoded}
    forms = plain | {quote(each, safe="") for each in plain} | {quote_plus(each) for each in plain}
    forms |= {json.dumps(each)[1:-1] for each in plain} | {repr(each)[1:-1] for each in plain}
    return {form for form in forms if len(form) >= _SHORTEST and form.lower() not in _WORDS}
