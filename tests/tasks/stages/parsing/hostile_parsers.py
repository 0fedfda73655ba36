"""Parsers that misbehave in every known way, plugged into children by their dotted names."""

import ctypes
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from index_store.records import Chunk
from tasks.stages.parsing.elements import Element, ElementKind, ParsedDocument


def _parsed(text: str) -> ParsedDocument:
    return ParsedDocument(elements=(Element(kind=ElementKind.PARAGRAPH, text=text),))


def one_chunk_each(options: dict):
    prefix = str(options.get("prefix", ""))
    return lambda parsed: [Chunk(text=prefix + e.text, tokens=1) for e in parsed.elements]


def broken_factory(options: dict):
    raise RuntimeError(f"no {options['what']} here")


def obey(path: Path) -> ParsedDocument:
    """Do what the first word of the file says."""
    word, _, rest = path.read_text().partition(" ")
    if word == "rewrite-me":
        path.write_text("say something else")
        return _parsed("what was there before")
    return _COMMANDS[word](rest)


def _say(rest: str) -> ParsedDocument:
    return _parsed(rest)


def _hang_in_c(_: str) -> ParsedDocument:
    libc = ctypes.PyDLL(None)  # PyDLL keeps the interpreter lock: no Python code runs meanwhile
    while True:
        libc.sleep(1000)


def _spin(_: str) -> ParsedDocument:
    while True:
        pass


def _swell(_: str) -> ParsedDocument:
    return _parsed(str(len([bytearray(1 << 26) for _ in range(1000)])))


def _swell_and_abort(_: str) -> ParsedDocument:
    os.write(2, b"memory allocation of 549755813888 bytes failed\n")
    os.abort()


def _segfault(_: str) -> ParsedDocument:
    ctypes.string_at(0)
    raise AssertionError


def _exit(_: str) -> ParsedDocument:
    os._exit(7)


def _system_exit(_: str) -> ParsedDocument:
    sys.exit(3)


def _fail(rest: str) -> ParsedDocument:
    raise ValueError(f"bad '{rest}' in the document")


def _recurse(rest: str) -> ParsedDocument:
    return _recurse(rest)


def _flood(_: str) -> ParsedDocument:
    return _parsed("x" * (3 << 20))


def _print(rest: str) -> ParsedDocument:
    print("noise " * 100_000, flush=True)
    os.write(1, b"\0\0\0\0\0\0\0\x04null")
    os.write(2, b"noise " * 100_000)
    return _parsed(rest)


def _stop_itself(_: str) -> ParsedDocument:
    os.kill(os.getpid(), signal.SIGSTOP)
    raise AssertionError


def _breed(rest: str) -> ParsedDocument:
    """Leave children, grandchildren and a process in a session of its own behind, then hang."""
    note = Path(rest.strip())
    _note(note, os.getppid())
    for _ in range(10):
        if os.fork() == 0:
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    _note_and_hang(note)
            _note_and_hang(note)
    _note_and_hang(note)
    raise AssertionError


def _breed_and_finish(rest: str) -> ParsedDocument:
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        _note(Path(rest.strip()), os.getpid())
        os.write(writing, b"!")
        while True:
            time.sleep(1000)
    os.read(reading, 1)
    return _parsed("left a child behind")


def _return_twice(rest: str) -> ParsedDocument:
    os.fork()
    return _parsed(rest)


def _note(note: Path, process: int) -> None:
    with note.open("a") as stream:
        stream.write(f"{process}\n")


def _note_and_hang(note: Path) -> None:
    _note(note, os.getpid())
    while True:
        time.sleep(1000)


def _surrogate(_: str) -> ParsedDocument:
    return _parsed("lone \ud800 surrogate")


def _who(_: str) -> ParsedDocument:
    return _parsed(str(os.getppid()))


def _environment(_: str) -> ParsedDocument:
    return _parsed(" ".join(sorted(os.environ)))


def _litter(_: str) -> ParsedDocument:
    """Say what lies in the scratch folder, and leave a file and a folder there."""
    scratch = Path(tempfile.gettempdir())
    found = sorted(entry.name for entry in scratch.iterdir())
    (scratch / "left-behind").write_text("secret")
    (scratch / "folder").mkdir()
    (scratch / "folder" / "inside").write_text("secret")
    return _parsed(" ".join(found))


_COMMANDS = {
    "litter": _litter,
    "say": _say,
    "hang": _hang_in_c,
    "spin": _spin,
    "swell": _swell,
    "swell-and-abort": _swell_and_abort,
    "segfault": _segfault,
    "exit": _exit,
    "system-exit": _system_exit,
    "fail": _fail,
    "recurse": _recurse,
    "flood": _flood,
    "print": _print,
    "stop": _stop_itself,
    "breed": _breed,
    "breed-and-finish": _breed_and_finish,
    "return-twice": _return_twice,
    "surrogate": _surrogate,
    "who": _who,
    "environment": _environment,
}
