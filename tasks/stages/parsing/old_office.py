"""Old Word and PowerPoint files (.doc, .ppt), of which LibreOffice makes new ones if it can.

Invariants: without LibreOffice the refusal names the remedy; LibreOffice runs as a descendant of
the parser, without a network, with a profile of its own in the parser's scratch folder.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from index_store.records import Reason
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.slides import parse_pptx
from tasks.stages.parsing.word import parse_docx

_PROGRAMS = ("soffice", "libreoffice")
_NEW = {"doc": ("docx", parse_docx), "ppt": ("pptx", parse_pptx)}


def parse_doc(path: Path) -> ParsedDocument:
    """Parse a .doc file.

    Raises:
        ParseRefused: It is damaged, or LibreOffice is not installed.
    """
    return _parse(path, "doc")


def parse_ppt(path: Path) -> ParsedDocument:
    """Parse a .ppt file.

    Raises:
        ParseRefused: It is damaged, or LibreOffice is not installed.
    """
    return _parse(path, "ppt")


def _parse(path: Path, kind: str) -> ParsedDocument:
    new, parse = _NEW[kind]
    program = next((found for name in _PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        detail = f"an old .{kind} document: save it as .{new}, or install LibreOffice"
        raise ParseRefused(Reason.UNSUPPORTED, detail)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / f"old.{kind}"
        shutil.copyfile(path, source)
        done = subprocess.run(  # noqa: S603 - a program of the system, on a name of ours
            [
                program,
                f"-env:UserInstallation=file://{folder}/profile",
                "--headless",
                "--convert-to",
                new,
                "--outdir",
                folder,
                str(source),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        made = source.with_suffix(f".{new}")
        if not made.is_file():
            if done.returncode:
                detail = f"LibreOffice failed with exit code {done.returncode}: save it as .{new}"
                raise ParseRefused(Reason.UNSUPPORTED, detail)
            raise ParseRefused(Reason.CORRUPT, f"LibreOffice made no .{new} of it")
        return parse(made)
