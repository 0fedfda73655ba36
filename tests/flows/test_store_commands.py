"""`nightpress store check` prints every promise, and fails when one is broken."""

from pathlib import Path

import orjson
import pytest

from flows.settings import Settings, load_settings
from flows.store_commands import check
from index_store.errors import UnfitStoreError
from index_store.storage.base import Storage
from index_store.storage.folder import FolderStorage
from index_store.storage.opening import open_storage
from index_store.storage.verdicts import read_fitness
from tests.support.below import Below


class Liar(Below):
    def create(self, key: str, data: bytes) -> None:
        self.put(key, data)


def settings(folder: Path) -> Settings:
    return load_settings({"store": str(folder / "store")}, {}, None).settings


def test_a_fit_store_is_praised_and_remembered(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    check(settings(tmp_path), as_json=False)
    printed = capsys.readouterr().out
    assert printed.count("holds ") == 9
    assert "is fit; tried in" in printed
    found = read_fitness(open_storage(str(tmp_path / "store")))
    assert found is not None
    assert found.fit


def test_the_output_for_programs_is_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    check(settings(tmp_path), as_json=True)
    printed = orjson.loads(capsys.readouterr().out)
    assert printed["fit"] is True
    assert printed["store"] == str(tmp_path / "store")
    assert {"promise", "holds", "seen"} == set(printed["checks"][0])


def test_an_unfit_store_is_shown_in_full_before_it_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def lying(url: str) -> Storage:
        return Liar(FolderStorage(Path(url)), "")

    monkeypatch.setattr("flows.store_commands.open_storage", lying)
    with pytest.raises(UnfitStoreError, match="a conditional write to an existing object was"):
        check(settings(tmp_path), as_json=False)
    printed = capsys.readouterr().out
    assert "BROKEN  an object that exists is not created again" in printed
    assert "is not fit" in printed
    assert read_fitness(open_storage(str(tmp_path / "store"))) is None
