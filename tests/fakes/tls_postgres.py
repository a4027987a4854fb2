"""A real PostgreSQL that speaks TLS, with a certificate for `localhost`.

The server in the wheel that all other tests use is built without TLS; this one is Debian's.
"""

from __future__ import annotations

import datetime as dt
import os
import pwd
import time
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from app.dev.supervisor import accepts, free_ports
from infra.child_process import ChildProcess, User

_DEADLINE: Final = 60.0
_VALIDITY: Final = dt.timedelta(days=1)


class Authority:
    """A certificate authority; `file` has its own certificate.

    Args:
        directory: where its file is written.
        name: of the authority and of its file.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._key = generate_private_key(SECP256R1())
        self._name = _subject(name)
        self.file = directory / f"{name}.pem"
        certificate = self._sign(
            self._key, self._name, x509.BasicConstraints(ca=True, path_length=0)
        )
        self.file.write_bytes(certificate.public_bytes(Encoding.PEM))

    def issue(self, host: str, directory: Path) -> None:
        """Write `server.crt` and `server.key` for a host."""
        key = generate_private_key(SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        certificate = self._sign(key, _subject(host), names)
        (directory / "server.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
        (directory / "server.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )

    def _sign(
        self, key: EllipticCurvePrivateKey, name: x509.Name, extension: x509.ExtensionType
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _VALIDITY)
            .not_valid_after(now + _VALIDITY)
            .add_extension(extension, critical=True)
            .sign(self._key, SHA256())
        )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class TlsPostgres:
    """The server; its superuser `postgres` needs no password.

    Args:
        directory: an empty directory that other accounts may enter.
        authority: signs its certificate.
    """

    def __init__(self, directory: Path, authority: Authority) -> None:
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not programs:
            pytest.skip("no PostgreSQL with TLS here (bin/system-packages)")
        (self.port,) = free_ports(1)
        self._user = None
        data = directory / "data"
        data.mkdir(mode=0o700)
        authority.issue("localhost", directory)
        files = [data, directory / "server.key", directory / "server.crt"]
        if os.geteuid() == 0:
            directory.chmod(0o711)
            nobody = pwd.getpwnam("nobody")
            self._user = User(nobody.pw_uid, nobody.pw_gid)
            for each in files:
                os.chown(each, nobody.pw_uid, nobody.pw_gid)
        (directory / "server.key").chmod(0o600)
        log = directory / "postgres.log"
        initdb = [str(programs[-1] / "initdb"), "--pgdata", str(data), "--no-sync"]
        initdb += ["--username", "postgres", "--auth", "trust", "--encoding", "UTF8"]
        if ChildProcess(initdb, log=log, user=self._user).wait() != 0:
            pytest.fail(f"initdb failed: {log.read_text('utf-8')}")
        settings = {
            "listen_addresses": "localhost",
            "port": str(self.port),
            "unix_socket_directories": "",
            "ssl": "on",
            "ssl_cert_file": str(directory / "server.crt"),
            "ssl_key_file": str(directory / "server.key"),
            "fsync": "off",
        }
        argv = [str(programs[-1] / "postgres"), "-D", str(data)]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        self._process = ChildProcess(argv, log=log, user=self._user)
        deadline = time.monotonic() + _DEADLINE
        while not accepts(self.port):
            if not self._process.running() or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL does not start: {self._process.last_words()}")
            time.sleep(0.05)

    def url(self, host: str, **parameters: str) -> str:
        """Return a URL of libpq's form."""
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        return f"postgresql://postgres@{host}:{self.port}/postgres?{query}"

    def stop(self) -> None:
        self._process.stop()
