"""Who takes notifications on loopback beside the webhook's receiver: a mail server, and Slack."""

import email
import email.policy
import json
import socketserver
import ssl
import threading
from dataclasses import dataclass
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.certificates import self_signed

SLACK = "hooks.slack.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail as it was handed over: the envelope, and the message within."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage

    @property
    def text(self) -> str:
        """What a person reads in it."""
        body = self.message.get_body()
        assert isinstance(body, EmailMessage)
        return str(body.get_content())


class _Session(socketserver.StreamRequestHandler):
    """One conversation of SMTP (RFC 5321), without extensions."""

    server: "_MailListener"

    def handle(self) -> None:
        self._say("220 loopback")
        sender, recipients = "", list[str]()
        while line := self.rfile.readline():
            verb, argument = line[:4].upper(), line.decode("ascii").partition(":")[2]
            if verb == b"QUIT":
                self._say("221 bye")
                return
            if verb == b"DATA":
                self._say("354 go ahead")
                message = email.message_from_bytes(self._data(), policy=email.policy.default)
                assert isinstance(message, EmailMessage)
                self.server.mails.append(
                    Mail(sender=sender, recipients=tuple(recipients), message=message)
                )
            elif verb in {b"MAIL", b"RSET"}:
                sender, recipients = _address(argument), []
            elif verb == b"RCPT":
                recipients.append(_address(argument))
            elif verb not in {b"EHLO", b"HELO", b"NOOP"}:
                self._say("502 not known here")
                continue
            self._say("250 ok")

    def _data(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


def _address(argument: str) -> str:
    return argument.partition("<")[2].partition(">")[0]


class _MailListener(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        super().__init__(("127.0.0.1", 0), _Session)


class MailServer:
    """Takes every mail, on a port of loopback, without TLS and without a password."""

    def __init__(self) -> None:
        self._listener = _MailListener()
        self.mails = self._listener.mails
        self.port = int(self._listener.server_address[1])
        threading.Thread(target=self._listener.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown()
        self._listener.server_close()


class SlackReceiver:
    """Stands where Slack is: a proxy that leads to nowhere else, and there speaks as Slack does.

    Attributes:
        environment: What makes a client of `requests` come here and believe it.
        posts: Path and object of each message.
        reached: Hosts that were asked for.
    """

    def __init__(self, folder: Path) -> None:
        certificate, key = self_signed(folder, host=SLACK)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        posts: list[tuple[str, dict[str, Any]]] = []
        reached: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                reached.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.request = context.wrap_socket(self.connection, server_side=True)
                self.setup()
                self.close_connection = False

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posts.append((self.path, json.loads(body)))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"ok")

            def finish(self) -> None:
                super().finish()
                self.request.close()

            def log_message(self, *_: object) -> None:
                pass

        self.posts, self.reached = posts, reached
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.environment = {
            "HTTPS_PROXY": f"http://127.0.0.1:{self._server.server_port}",
            "REQUESTS_CA_BUNDLE": str(certificate),
        }
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
