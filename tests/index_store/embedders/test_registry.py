import subprocess
import sys

import pytest

from index_store.embedders.registry import open_embedder, open_tokenizer, spec_string
from index_store.errors import UsageError


@pytest.mark.parametrize("name", ["offline", "hashing", "hashing:384"])
def test_manifest_identity_opens_the_same_embedder(name: str):
    spec = open_embedder(name).spec
    assert open_embedder(spec_string(spec)).spec == spec


@pytest.mark.parametrize("name", ["offline", "hashing"])
def test_tokenizer_alone_is_the_embedder_s_own(name: str):
    assert open_tokenizer(name).identity == open_embedder(name).spec.tokenizer


def test_dimension_is_part_of_the_identity():
    assert open_embedder("hashing").spec.dimension == 256
    assert open_embedder("hashing:384").spec.dimension == 384
    assert open_embedder("hashing").spec.id != open_embedder("hashing:384").spec.id


@pytest.mark.parametrize("name", ["", "mistrial", "offline:fast", "OFFLINE"])
def test_unknown_name_lists_what_there_is(name: str):
    for opening in (open_embedder, open_tokenizer):
        with pytest.raises(UsageError, match="is unknown; there are: offline, hashing"):
            opening(name)


@pytest.mark.parametrize("dimension", ["wide", "-1", "1.5", "²"])
def test_dimension_that_is_no_number_is_refused(dimension: str):
    with pytest.raises(UsageError, match="the dimension is not a whole number"):
        open_embedder(f"hashing:{dimension}")


@pytest.mark.parametrize("dimension", [0, 7, 8193])
def test_dimension_out_of_range_is_refused(dimension: int):
    with pytest.raises(UsageError, match=r"the dimension is not in \[8, 8192\]"):
        open_embedder(f"hashing:{dimension}")


def test_tokenizer_loads_neither_network_nor_arrays_of_weights():
    program = (
        "import sys; from index_store.embedders.registry import open_tokenizer;"
        "counts = open_tokenizer('offline').count(['mot', 'words']);"
        "assert min(counts) >= 1;"
        "sys.exit(1 if 'onnxruntime' in sys.modules else 0)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
