"""The inbox: a folder of the source into which documents are uploaded; indexing is the flow's work.

Invariants: nothing is written outside the folder and nothing in it is replaced; a document appears
under its name only when all of it is on the disk; nothing is parsed or indexed here.
"""

import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from anyio import to_thread
from pydantic import SecretStr

from index_store.errors import TransientError, UsageError

MAX_NAME_BYTES = 200  # file systems end at 255, and the name of a part needs room
ASK_S = 10.0
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxOptions:
    """Where uploads go, and what follows.

    Attributes:
        folder: A folder inside the source; empty takes no uploads.
        max_bytes: Largest document, above 0.
        endings: Endings that are taken, lower case, with their dot.
        prefect_url: Prefect's API, up to `/api`; empty starts no run.
        deployment: The flow's deployment, `FLOW/NAME`.
        prefect_key: Sent to Prefect as a bearer token, or None.

    Raises:
        UsageError: A deployment without an API, or not of that form.
    """

    folder: str = ""
    max_bytes: int = 64 << 20
    endings: frozenset[str] = frozenset({".pdf", ".docx", ".pptx", ".xlsx", ".txt", ".md", ".html"})
    prefect_url: str = ""
    deployment: str = ""
    prefect_key: SecretStr | None = None

    def __post_init__(self) -> None:
        if not self.deployment:
            return
        if not self.prefect_url or self.deployment.count("/") != 1:
            raise UsageError(
                "inbox_deployment must be FLOW/NAME, and inbox_prefect_url the address of "
                f"Prefect's API; found {self.deployment!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why an upload is not taken.

    Attributes:
        status: Of HTTP.
        message: One line for a person.
        code: What machines read.
    """

    status: int
    message: str
    code: str


def name_problem(name: str, endings: frozenset[str]) -> Refused | None:
    """Return why a document may not have a name; pure."""
    bad = (
        not name.strip(" .")
        or name.startswith((".", "~"))
        or name != name.strip()
        or _FORBIDDEN.search(name) is not None
        or _DEVICES.fullmatch(name) is not None
        or len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES
    )
    if bad:
        return Refused(status=400, message="the name is not that of a document", code="bad_name")
    if Path(name).suffix.lower() not in endings:
        message = f"documents of this kind are not taken, only {' '.join(sorted(endings))}"
        return Refused(status=415, message=message, code="unsupported_type")
    return None


class Inbox:
    """Takes documents into the folder, and asks Prefect for a run."""

    def __init__(self, options: InboxOptions) -> None:
        self._options = options

    async def take(self, name: str, pieces: AsyncIterator[bytes]) -> int | Refused:
        """Write a document; its size, or why it was refused.

        Raises:
            TransientError: The folder cannot be written.
        """
        refused = name_problem(name, self._options.endings)
        if refused is not None:
            return refused
        folder = Path(self._options.folder)
        part = folder / f".{uuid4().hex}.part"
        try:
            size = await self._write(part, pieces)
            if isinstance(size, Refused):
                return size
            return await to_thread.run_sync(_appear, part, folder / name, size)
        except TimeoutError:  # of who sends, not of the disk
            raise
        except OSError as error:
            raise TransientError(f"the inbox cannot be written: {error.strerror}") from error
        finally:
            part.unlink(missing_ok=True)

    async def start_run(self) -> str | None:
        """Ask Prefect to run the deployment; the run's id, or None when none is set.

        Raises:
            TransientError: Prefect did not take it.
        """
        options = self._options
        if not options.deployment:
            return None
        key = options.prefect_key
        headers = {} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}
        base = options.prefect_url.rstrip("/")
        import httpx  # noqa: PLC0415 - slow to load, and needed after an upload alone

        try:
            async with httpx.AsyncClient(headers=headers, timeout=ASK_S) as http:
                named = await http.get(f"{base}/deployments/name/{options.deployment}")
                deployment = named.raise_for_status().json()["id"]
                made = await http.post(
                    f"{base}/deployments/{deployment}/create_flow_run", json={"tags": ["upload"]}
                )
                return str(made.raise_for_status().json()["id"])
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise TransientError(f"Prefect started no run: {type(error).__name__}") from error

    async def _write(self, part: Path, pieces: AsyncIterator[bytes]) -> int | Refused:
        size = 0
        with part.open("xb") as file:
            async for piece in pieces:
                size += len(piece)
                if size > self._options.max_bytes:
                    message = f"the document has more than {self._options.max_bytes} bytes"
                    return Refused(status=413, message=message, code="body_too_large")
                await to_thread.run_sync(file.write, piece)
            if size == 0:
                return Refused(status=400, message="the document is empty", code="empty")
            file.flush()
            await to_thread.run_sync(os.fsync, file.fileno())
        return size


def _appear(part: Path, name: Path, size: int) -> int | Refused:
    """Give a whole file its name, unless a document has it already."""
    try:
        os.link(part, name)
    except FileExistsError:
        return Refused(status=409, message="a document of this name is there", code="exists")
    folder = os.open(name.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return size
