"""The registry: what is supported, and what makes a document due again."""

import subprocess
import sys

import pytest

from flows.setting_groups.source import DEFAULT_EXTENSIONS
from index_store.errors import UsageError
from tasks.stages.parsing.limits import Limits
from tasks.stages.parsing.registry import SUPPORTED_EXTENSIONS, parser_for, parser_identity


def test_every_default_extension_is_supported():
    assert set(DEFAULT_EXTENSIONS) <= SUPPORTED_EXTENSIONS
    assert {".pdf", ".odt", ".eml", ".rst", ".xlsb", ".zst"} <= set(DEFAULT_EXTENSIONS)


def test_identity_of_a_mail_changes_with_the_parsers_of_what_hangs_on_it():
    assert " children-" in parser_identity("eml", Limits())
    assert " children-" not in parser_identity("pdf", Limits())


def test_identity_of_an_old_document_tells_whether_it_can_be_made_new():
    assert " soffice-" in parser_identity("doc", Limits())


def test_extension_is_found_whatever_its_case():
    assert parser_for("dossier.v2/RAPPORT.PDF") == parser_for("a.pdf")


def test_unknown_extension_is_a_mistake():
    with pytest.raises(UsageError, match=r"no parser for the extension '\.exe'"):
        parser_for("setup.exe")


def test_identity_changes_with_limits_and_parser():
    identities = {
        parser_identity("pdf", Limits()),
        parser_identity("pdf", Limits(wall_s=60)),
        parser_identity("pdf", Limits(memory_bytes=1 << 30)),
        parser_identity("docx", Limits()),
    }

    assert len(identities) == 4
    assert "pypdfium2-" in parser_identity("pdf", Limits())


def test_limit_of_zero_is_refused():
    with pytest.raises(UsageError, match="wall_s"):
        Limits(wall_s=0)


def test_pool_and_registry_import_no_parsing_library():
    code = (
        "import sys; import tasks.stages.parsing.isolation; "
        "heavy = {'pypdfium2', 'pypdf', 'lxml', 'pptx', 'openpyxl', 'selectolax',"
        " 'python_calamine', 'charset_normalizer', 'olefile', 'zstandard'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
