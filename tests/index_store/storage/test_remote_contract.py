"""The storage contract against servers that keep what S3 promises."""

from uuid import uuid4

import pytest

from index_store.storage.base import Storage
from index_store.storage.remote import RemoteStorage
from tests.contracts.storage_contract import StorageContract
from tests.support.s3_servers import S3Server


class TestMoto(StorageContract):
    @pytest.fixture
    def storage(self, moto_server: S3Server) -> Storage:
        return RemoteStorage(moto_server.url(uuid4().hex), moto_server.options())

    def test_keys_keep_unicode_and_newlines(self, storage: Storage):
        """Without the newline, which moto takes for the end of a path."""
        storage.put("é/日本.txt", b"x")
        assert [entry.key for entry in storage.list("é/")] == ["é/日本.txt"]
        assert storage.read("é/日本.txt") == b"x"


class TestSeaweedFS(StorageContract):
    @pytest.fixture
    def storage(self, seaweedfs_server: S3Server) -> Storage:
        return RemoteStorage(seaweedfs_server.url(uuid4().hex), seaweedfs_server.options())
