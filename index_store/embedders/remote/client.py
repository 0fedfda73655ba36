"""One HTTP connection pool to one provider.

Mistral, OpenAI-compatible servers and Ollama are each one POST away, so this speaks to them
directly: their SDKs come with another HTTP library each, differ between generations in import paths
and errors, and cap neither the time nor the size of an answer.

Invariants: a request ends within its deadline, however slowly bytes drip; an answer above the cap
is cut off, and cannot grow by unpacking, since none is asked for packed; redirects are never
followed; the key stands in no message.
"""

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import certifi
import httpx

from index_store.embedders.remote.options import MEBIBYTE, RemoteOptions
from index_store.errors import TransientError, UsageError

ERROR_BYTES = 16_384  # of an answer that is an error, more is not read
CONNECT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer.

    Attributes:
        status: HTTP status.
        headers: With lower-case names.
        body: All of it, or its beginning when the status is an error.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class ProviderClient:
    """Speaks to one provider; safe for threads.

    Args:
        base_url: Address up to the provider's own paths.
        options: How it is reached.
        clock: Seconds that never go back.

    Raises:
        UsageError: Address, proxy or certificates cannot be used.
    """

    def __init__(
        self, base_url: str, options: RemoteOptions, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        self._cap_bytes = options.response_mib * MEBIBYTE
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if options.key is not None:
            headers["Authorization"] = f"Bearer {options.key.get_secret_value()}"
        try:
            self._http = httpx.Client(
                headers=headers,
                follow_redirects=False,
                proxy=options.proxy or None,
                verify=ssl.create_default_context(cafile=options.ca_bundle or certifi.where()),
                limits=httpx.Limits(max_connections=max(4, 2 * options.limits.in_flight)),
            )
        except (OSError, ValueError, httpx.InvalidURL, UnicodeEncodeError) as error:
            raise UsageError(
                f"embedder at {self._base_url}: proxy, certificates or key cannot be used "
                f"({type(error).__name__})"
            ) from None

    def post(self, path: str, body: bytes, timeout_s: float) -> Reply:
        """Send one request of JSON.

        Args:
            path: Below the base URL.
            body: JSON.
            timeout_s: Seconds until the last byte of the answer.

        Raises:
            TransientError: No answer in time, a broken connection, or an answer above the cap.
            UsageError: The address is no address.
        """
        return self.send("POST", path, body, timeout_s)

    def send(
        self, method: str, path: str, body: bytes, timeout_s: float, *, content_type: str = ""
    ) -> Reply:
        """Send one request of any method.

        Args:
            method: As HTTP writes it.
            path: Below the base URL.
            body: Empty for none.
            timeout_s: Seconds until the last byte of the answer.
            content_type: Of the body, empty for JSON.

        Raises:
            TransientError, UsageError: As `post`.
        """
        deadline = self._clock() + timeout_s
        url = f"{self._base_url}{path}"
        headers = {"Content-Type": content_type} if content_type else {}
        with self._opened(method, url, body, headers, timeout_s) as response:
            cap = self._cap_bytes if response.status_code == 200 else ERROR_BYTES
            data = self._read(response, cap, deadline)
            if len(data) > cap and response.status_code == 200:
                raise TransientError(f"embedder at {url}: the answer has more than {cap} bytes")
            told = {name.lower(): value for name, value in response.headers.items()}
            return Reply(status=response.status_code, headers=told, body=data[:cap])

    def lines(self, path: str, timeout_s: float) -> Iterator[bytes]:
        """Read a long answer line by line; each line is at most as long as an answer may be.

        Raises:
            TransientError: As `post`, or the answer is an error.
        """
        deadline = self._clock() + timeout_s
        url = f"{self._base_url}{path}"
        with self._opened("GET", url, b"", {}, timeout_s) as response:
            if response.status_code != 200:
                raise TransientError(f"embedder at {url}: status {response.status_code}")
            rest = bytearray()
            for piece in response.iter_raw():
                rest += piece
                if b"\n" in piece:
                    *whole, rest = rest.split(b"\n")
                    yield from (bytes(line) for line in whole if line.strip())
                if len(rest) > self._cap_bytes:
                    raise TransientError(f"embedder at {url}: a line is too long")
                if self._clock() > deadline:
                    raise TransientError(f"embedder at {url}: the answer dripped too slowly")
            if rest.strip():
                yield bytes(rest)

    def close(self) -> None:
        """Close every connection; calling it twice is harmless."""
        self._http.close()

    @contextmanager
    def _opened(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> Iterator[httpx.Response]:
        """Open an answer; what the HTTP library says becomes ours."""
        timeout = httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s))
        try:
            with self._http.stream(
                method, url, content=body, headers=headers, timeout=timeout
            ) as response:
                yield response
        except httpx.TimeoutException as error:
            raise TransientError(f"embedder at {url}: no answer within {timeout_s:g} s") from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise UsageError(f"embedder at {url}: this is no address: {error}") from error
        except httpx.HTTPError as error:
            if _is_untrusted(error):
                raise UsageError(
                    f"embedder at {url}: its certificate is not trusted; name the file of its "
                    "authority in embed_ca_bundle"
                ) from error
            raise TransientError(f"embedder at {url}: {type(error).__name__}") from error

    def _read(self, response: httpx.Response, cap: int, deadline: float) -> bytes:
        """Read up to one piece more than `cap` bytes, however slowly they come."""
        data = bytearray()
        for piece in response.iter_raw():
            data += piece
            if self._clock() > deadline:
                raise TransientError(f"embedder at {response.url}: the answer dripped too slowly")
            if len(data) > cap:
                break
        return bytes(data)


def _is_untrusted(error: BaseException | None) -> bool:
    """Tell whether a certificate was refused somewhere below an error."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
