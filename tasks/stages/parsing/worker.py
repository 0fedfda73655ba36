"""The child process that parses documents: `python -m tasks.stages.parsing.worker`.

Two processes: a keeper, which never touches a document, and the parser that it forks. The keeper
ends when its parent closes the lifeline (standard input) or dies, or when the parser ends, and
takes every descendant of the parser along, whatever session or group they fled to.

Invariants: the pipes carry frames of ours only, libraries write to a scratch file; every failure of
a document is a reply; nothing is left behind, neither processes nor files.
"""

import contextlib
import gc
import importlib
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from index_store.errors import UsageError
from index_store.records import Reason
from tasks.stages.parsing import confinement
from tasks.stages.parsing.examination import Examination, examine
from tasks.stages.parsing.frames import Silence, read_frame, write_frame
from tasks.stages.parsing.keeper import keep
from tasks.stages.parsing.limits import Limits
from tasks.stages.parsing.outcome import Reply, encode_reply, rejected
from tasks.stages.parsing.parse_options import ParseOptions, under
from tasks.stages.parsing.refusal import describe

_LOG = "stderr"


def main(arguments: Sequence[str]) -> int:
    """Run the keeper and its parser.

    Args:
        arguments: Numbers of the inherited descriptors, requests to read and replies to write,
            and the memory limit in bytes.

    Returns:
        Exit code of the keeper, see `keeper.keep`.
    """
    requests, replies, memory_bytes = (int(argument) for argument in arguments)
    confinement.adopt_orphans()
    scratch = tempfile.mkdtemp(prefix="nightpress-parse-")
    keeper = os.getpid()
    parser = os.fork()
    if parser == 0:
        with contextlib.suppress(KeyboardInterrupt):
            _parse_documents(requests, replies, scratch, keeper)
        os._exit(0)
    os.close(requests)
    os.close(replies)
    lifeline = sys.stdin.fileno()
    return keep(parser, lifeline=lifeline, scratch=scratch, memory_bytes=memory_bytes)


def load(name: str) -> Callable[..., object]:
    """Import what a dotted name "module:attribute" stands for.

    Raises:
        UsageError: There is no such thing, or it cannot be called.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"{name}: cannot be imported as module:attribute") from error
    if not callable(found):
        raise UsageError(f"{name}: is not callable")
    return found  # type: ignore[no-any-return]


def _parse_documents(requests: int, replies: int, scratch: str, keeper: int) -> None:
    os.setsid()
    confinement.die_with_parent(keeper, signal.SIGKILL)
    _redirect_standard_streams(scratch)
    for descriptor in (requests, replies):
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - takes no keyword
    setup = read_frame(requests, deadline=None, limit_bytes=None)
    if isinstance(setup, Silence):
        return
    settings = orjson.loads(setup)
    limits = Limits(**settings["limits"])
    parsing = ParseOptions.from_json(settings["parsing"])
    offline = confinement.leave_network()
    try:
        chunker = load(settings["chunker"])(settings["options"])
    except Exception as error:  # noqa: BLE001 - entry point; the parent raises it
        write_frame(replies, orjson.dumps({"error": f"{type(error).__name__}: {error}"}))
        return
    confinement.limit_resources(limits.memory_bytes)
    gc.freeze()
    write_frame(replies, orjson.dumps({"error": None, "offline": offline}))
    examination = Examination(limits=limits, chunker=chunker, parsing=parsing)  # type: ignore[arg-type]
    with under(parsing):
        _answer_requests(requests, replies, examination)


def _answer_requests(requests: int, replies: int, examination: Examination) -> None:
    own = os.getpid()
    while True:
        frame = read_frame(requests, deadline=None, limit_bytes=None)
        if isinstance(frame, Silence):
            return
        reply = _answer(orjson.loads(frame), examination)
        if os.getpid() != own:  # a process that the document's parser forked came back to us
            os._exit(1)
        write_frame(replies, reply)


def _answer(request: Mapping[str, Any], examination: Examination) -> bytes:
    os.ftruncate(2, 0)  # last words are those of this document
    _empty_scratch()
    path = os.fsdecode(request["path"].encode("latin-1"))
    sidecars = [os.fsdecode(each.encode("latin-1")) for each in request["sidecars"]]
    outcome = examine(path, request["parser"], examination, sidecars)
    used_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    spent = used_bytes > examination.limits.memory_bytes // 2 or _has_children()
    try:
        return encode_reply(Reply(outcome=outcome, spent=spent))
    except TypeError as error:  # orjson's answer to a text that is no Unicode
        refused = rejected(Reason.CORRUPT, describe(error), parser=outcome.parser)
        return encode_reply(Reply(outcome=refused, spent=spent))


def _empty_scratch() -> None:
    """Remove what the parser of the document before left behind."""
    for entry in list(os.scandir(tempfile.gettempdir())):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        elif entry.name != _LOG:
            os.unlink(entry.path)  # noqa: PTH108 - an entry is no path


def _has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def _redirect_standard_streams(scratch: str) -> None:
    # Libraries print warnings from C; the keeper reads the file to tell memory from other crashes.
    null = os.open(os.devnull, os.O_RDWR)
    log = os.open(f"{scratch}/{_LOG}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.dup2(log, 2)
    os.close(null)
    os.close(log)
    tempfile.tempdir = scratch
    os.environ["TMPDIR"] = os.environ["HOME"] = scratch


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
