"""The storage contract, passed by every backend and by the fault wrapper without faults."""

from pathlib import Path

import pytest

from index_store.storage.base import Storage
from index_store.storage.faulty import FaultyStorage
from index_store.storage.folder import FolderStorage
from index_store.storage.memory import MemoryStorage
from tests.contracts.storage_contract import StorageContract


class TestFolderStorage(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        return FolderStorage(tmp_path / "store")


class TestMemoryStorage(StorageContract):
    @pytest.fixture
    def storage(self) -> Storage:
        return MemoryStorage("contract")


class TestFaultyStorageWithoutFaults(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        return FaultyStorage(FolderStorage(tmp_path / "store"))
