from pathlib import Path

import pytest

from flows.settings import LEGACY_NAMES, Settings, load_settings, settings_table
from index_store.errors import UsageError


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_flags_win_over_environment_over_old_names_over_file_over_default(tmp_path: Path):
    (tmp_path / "nightpress.toml").write_text("hnsw_m = 20\nhost = '0.0.0.0'\n")
    environment = {"HNSW_M": "24", "NIGHTPRESS_HNSW_EF_SEARCH": "128", "HNSW_EF_SEARCH": "99"}
    settings = load_settings({"hnsw_ef_search": 256}, environment).settings
    assert settings.host == "0.0.0.0"  # noqa: S104 - only read back
    assert settings.hnsw_m == 24
    assert settings.hnsw_ef_search == 256
    assert load_settings({}, environment).settings.hnsw_ef_search == 128
    assert load_settings({}, {}).settings.hnsw_m == 20
    assert load_settings({}, {}).settings.hnsw_ef_construction == 100


@pytest.mark.parametrize(
    ("old", "given", "name", "expected"),
    [
        ("DOCS_DIR", "/docs", "source", ("/docs",)),
        ("VECTOR_INDEX_DIR", "/index", "store", "/index"),
        ("MAX_LOADERS", "8", "parse_workers", 8),
        ("EMBED_DIM", "1024", "embed_dimension", 1024),
        ("BATCH_SIZE", "1000", "index_batch_rows", 1000),
        ("HNSW_M", "16", "hnsw_m", 16),
        ("HNSW_EF_CONS", "200", "hnsw_ef_construction", 200),
        ("HNSW_EF_SEARCH", "128", "hnsw_ef_search", 128),
        ("MIN_CHUNK_LENGTH", "10", "min_chunk_chars", 10),
        ("FORCE_INITIAL", "yes", "full", True),
        ("FILES_HOST", "https://files.example", "files_host", "https://files.example"),
        ("DOCS_ROOT_DIR", "/docs", "docs_root_dir", "/docs"),
    ],
)
def test_name_of_the_system_taken_over_is_accepted_and_says_so_once(
    old: str, given: str, name: str, expected: object
):
    loaded = load_settings({}, {old: given})
    assert getattr(loaded.settings, name) == expected
    assert loaded.notices == (f"{old} is accepted; its name here is NIGHTPRESS_{name.upper()}",)


def test_a_key_is_never_shown():
    loaded = load_settings({}, {"MISTRAL_API_KEY": "s3cret"})
    assert loaded.settings.mistral_api_key is not None
    assert loaded.settings.mistral_api_key.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(loaded) + loaded.settings.model_dump_json()


def test_every_problem_is_listed_with_name_and_value():
    with pytest.raises(UsageError, match="'hnsw_m': .*found 1; setting 'port': .*found 70000"):
        load_settings({"hnsw_m": 1, "port": 70000}, {})


def test_unknown_names_are_refused_in_the_file_and_told_in_the_environment(tmp_path: Path):
    assert load_settings({}, {"NIGHTPRESS_HNSWM": "3"}).notices == (
        "NIGHTPRESS_HNSWM is not a setting and is ignored; the README lists them",
    )
    (tmp_path / "nightpress.toml").write_text("hnswm = 3\n")
    with pytest.raises(UsageError, match="setting 'hnswm' is unknown"):
        load_settings({}, {})


def test_missing_or_broken_settings_file_is_named(tmp_path: Path):
    with pytest.raises(UsageError, match=r"nope\.toml' does not exist"):
        load_settings({}, {}, tmp_path / "nope.toml")
    (tmp_path / "bad.toml").write_text("= 3")
    with pytest.raises(UsageError, match=r"bad\.toml' cannot be read"):
        load_settings({}, {}, tmp_path / "bad.toml")


def test_overlap_beyond_half_a_chunk_is_refused():
    with pytest.raises(UsageError, match="chunk_overlap_tokens 300 is more than half"):
        load_settings({"chunk_overlap_tokens": 300}, {})


def test_table_shows_every_setting_and_every_old_name():
    table = settings_table()
    for name in Settings.model_fields:
        assert f"| `{name}`" in table
    for old in LEGACY_NAMES:
        assert f"`{old}`" in table
