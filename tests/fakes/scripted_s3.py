"""An S3 server that gives the answers of a script: faults that a healthy server does not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    claimed_length: int | None = None


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]


class ScriptedS3:
    """Gives the answers of its script, the last one again and again, and notes the requests."""

    def __init__(self) -> None:
        self.script: list[Answer] = [Answer()]
        self.requests: list[Request] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                self.rfile.read(length)
                headers = {name.lower(): value for name, value in self.headers.items()}
                script.requests.append(Request(self.command, self.path, headers))
                answer = script.script.pop(0) if len(script.script) > 1 else script.script[0]
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in answer.headers:
                    claimed = answer.claimed_length
                    self.send_header("Content-Length", str(claimed or len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            do_PUT = do_HEAD = do_DELETE = do_POST = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def answers(self, *answers: Answer) -> None:
        self.script = list(answers)

    def methods(self) -> Sequence[str]:
        return [each.method for each in self.requests]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def refusal(status: int, code: str) -> Answer:
    return Answer(status, f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode())
