"""TLS to PostgreSQL: libpq's parameters for the driver, and what a failed handshake means."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from asyncpg.exceptions import ClientConfigurationError
from sqlalchemy.engine import URL, make_url

from infra.errors import NotConfiguredError

InvalidTlsError: Final = ClientConfigurationError
"""What the driver raises for parameters that it cannot use."""

_VERIFYING: Final = frozenset({"verify-ca", "verify-full"})
_PARAMETERS: Final = (
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslnegotiation"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version"),
)
_FILES: Final = frozenset({"sslrootcert", "sslcert", "sslkey", "sslcrl"})
_REFUSED: Final = "rejected SSL upgrade"
_HOST_MISMATCHES: Final = frozenset({62, 64})  # X509_V_ERR_HOSTNAME_MISMATCH, …_IP_ADDRESS_…


@dataclass(frozen=True)
class TlsProblem:
    """Why a connection cannot be encrypted or trusted. A retry does not help."""

    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem}. {self.remedy}"


def driver_url(url: URL) -> URL:
    """Move libpq's TLS parameters into a DSN, the only place where asyncpg reads them all.

    Raises:
        NotConfiguredError: a file that they name does not exist; asyncpg would not say which.
    """
    given = {name: url.query[name] for name in _PARAMETERS if name in url.query}
    if not given:
        return url
    for name in _FILES & given.keys():
        if not Path(str(given[name])).is_file():
            raise NotConfiguredError(
                f"{name} in the URL of the database names {given[name]}, which is no file.",
                remedy="Correct the path, and make sure that the file is in the container.",
            )
    dsn = f"postgresql:///?{urlencode(given, doseq=True)}"
    return url.difference_update_query(list(given)).update_query_dict({"dsn": dsn})


def verifies_server(url: str) -> bool:
    """Return True if a URL asks for a certificate that can be verified."""
    return make_url(url).query.get("sslmode") in _VERIFYING


def tls_problem(error: BaseException | None) -> TlsProblem | None:
    """Return what is wrong with TLS if that caused `error`."""
    while error is not None:
        if (found := _problem(error)) is not None:
            return found
        error = error.__cause__
    return None


def _problem(error: BaseException) -> TlsProblem | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        found = error.verify_message.rstrip(".")
        if error.verify_code in _HOST_MISMATCHES:
            return TlsProblem(
                f"The certificate of the server is for another host: {found}",
                "Use the host name of the certificate in the URL (the endpoint that AWS shows, "
                "no address and no alias).",
            )
        return TlsProblem(
            f"The certificate of the server cannot be verified: {found}",
            "Set sslrootcert in the URL to the file of the authority that signed it (for Aurora "
            "the bundle of RDS).",
        )
    if isinstance(error, InvalidTlsError):
        return TlsProblem(
            f"The URL cannot be used: {str(error).splitlines()[0]}",
            "With sslmode=verify-full set sslrootcert in the URL to the file of the authority "
            "that signed the server's certificate.",
        )
    if isinstance(error, ssl.SSLError):
        return TlsProblem(
            f"TLS with the server fails: {error.reason or error}",
            "Check that sslrootcert in the URL names a file of certificates in PEM, and which "
            "versions of TLS the server accepts.",
        )
    if isinstance(error, ConnectionError) and _REFUSED in str(error):
        return TlsProblem(
            "The server does not offer TLS",
            "Turn TLS on at the server (ssl = on), or correct host and port in the URL.",
        )
    return None
