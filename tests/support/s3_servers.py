"""S3 servers on loopback for tests: two honest ones, and three that break promises.

Every server is a process of its own with a folder of its own; it is killed at the end, because
some take long to stop. A server that is not installed skips the test that wants it.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import botocore.config
import botocore.exceptions
import botocore.session
import orjson
import pytest

from index_store.storage.remote_options import RemoteOptions

BUCKET = "nightpress-tests"
ACCESS_KEY = "tester"
SECRET_KEY = "tester-secret"  # noqa: S105 - of servers that live as long as a test
REGION = "us-east-1"
START_S = 90  # a busy machine starts the largest of them in about 20 s
POLL_S = 0.1
MOTO_SERVER = Path(__file__).with_name("moto_server.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Server:
    """A running server that has one bucket."""

    name: str
    endpoint: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY

    def url(self, prefix: str) -> str:
        return f"s3://{BUCKET}/{prefix}"

    def options(self, **changes: object) -> RemoteOptions:
        """How to reach it; `changes` are fields of `RemoteOptions`."""
        values: dict[str, object] = {
            "endpoint_url": self.endpoint,
            "region": REGION,
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "backoff_s": 0.01,
        }
        return RemoteOptions(**{**values, **changes})  # type: ignore[arg-type]

    def environment(self) -> dict[str, str]:
        """What a person would set to reach it."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }


@contextmanager
def moto(folder: Path) -> Iterator[S3Server]:
    """The quick honest one, in memory."""
    pytest.importorskip("moto.server")
    (port,) = free_ports(1)
    with _served("moto", [sys.executable, str(MOTO_SERVER), str(port)], port, folder) as server:
        yield server


@contextmanager
def seaweedfs(folder: Path) -> Iterator[S3Server]:
    """The honest one with disks, signatures and checksums."""
    ports = free_ports(8)
    config = folder / "identities.json"
    identity = {
        "name": ACCESS_KEY,
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "List", "Tagging", "Write"],
    }
    config.write_bytes(orjson.dumps({"identities": [identity]}))
    names = ("master.port", "volume.port", "filer.port", "s3.port")
    listening = [
        f"-{name}{suffix}={port}"
        for (name, suffix), port in zip(
            [(name, suffix) for name in names for suffix in ("", ".grpc")], ports, strict=True
        )
    ]
    command = [
        _program("weed"), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        "-master.volumeSizeLimitMB=64", "-volume.max=50", "-s3", f"-s3.config={config}",
        "-s3.port.iceberg=0", "-s3.port.lance=0", *listening,
    ]  # fmt: skip
    with _served("seaweedfs", command, ports[6], folder) as server:
        yield server


@contextmanager
def rclone(folder: Path) -> Iterator[S3Server]:
    """Ignores every condition without a word."""
    (port,) = free_ports(1)
    data = folder / "data"
    data.mkdir()
    command = [
        _program("rclone"), "serve", "s3", "--addr", f"127.0.0.1:{port}",
        "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", "--config", "", str(data),
    ]  # fmt: skip
    with _served("rclone", command, port, folder) as server:
        yield server


@contextmanager
def juicefs(folder: Path) -> Iterator[S3Server]:
    """A gateway over a file system; ignores conditions on writes."""
    program = _program("juicefs")
    (port,) = free_ports(1)
    meta = f"sqlite3://{folder / 'meta.db'}"
    blocks = folder / "blocks"
    subprocess.run(
        [program, "format", "--storage", "file", "--bucket", f"{blocks}/", meta, "tests"],
        check=True, capture_output=True, timeout=START_S,
    )  # fmt: skip
    command = [
        program, "gateway", "--multi-buckets", "--keep-etag", "--no-usage-report",
        "--cache-dir", str(folder / "cache"), meta, f"127.0.0.1:{port}",
    ]  # fmt: skip
    secrets = {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY}
    with _served("juicefs", command, port, folder, secrets) as server:
        yield server


@contextmanager
def s3rver(folder: Path) -> Iterator[S3Server]:
    """Ignores conditions, shows torn writes, mixes bodies; an npm package named by S3RVER."""
    script = os.environ.get("S3RVER", "")
    if not script or shutil.which("node") is None:
        pytest.skip("S3RVER does not name bin/s3rver.js of the npm package s3rver")
    (port,) = free_ports(1)
    command = ["node", script, "-d", str(folder), "-a", "127.0.0.1", "-p", str(port)]
    # Its users and keys are fixed.
    with _served("s3rver", command, port, folder, keys=("S3RVER", "S3RVER")) as server:
        yield server


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now; the last ones of each pair may be used too."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for opened in sockets:
            opened.bind(("127.0.0.1", 0))
        return [opened.getsockname()[1] for opened in sockets]


def _program(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@contextmanager
def _served(
    name: str,
    command: Sequence[str],
    port: int,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    *,
    keys: tuple[str, str] = (ACCESS_KEY, SECRET_KEY),
) -> Iterator[S3Server]:
    """Start a server, wait until it has made a bucket, and kill it at the end."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    endpoint = f"http://127.0.0.1:{port}"
    try:
        _make_bucket(process, endpoint, keys, log)
        yield S3Server(name=name, endpoint=endpoint, access_key=keys[0], secret_key=keys[1])
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _make_bucket(
    process: subprocess.Popen[bytes], endpoint: str, keys: tuple[str, str], log: Path
) -> None:
    client = botocore.session.get_session().create_client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        config=botocore.config.Config(
            connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 1}
        ),
    )
    for _ in range(int(START_S / POLL_S)):
        try:
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"x")
            client.delete_object(Bucket=BUCKET, Key="ready")
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
            try:
                process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                continue
            break
        else:
            client.close()
            return
    pytest.fail(f"{process.args!r} did not start: {log.read_text(errors='replace')[-2000:]}")
