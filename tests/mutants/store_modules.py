"""Which tests measure which module of the store: the narrowest that state its promises.

Run as a script it prints the files of all these tests, in one line.
"""

_STORAGE = "tests/index_store/storage"
_CONTRACT = "tests/contracts/test_storage_backends.py"
_LOG = (
    "tests/index_store/test_log_fold.py",
    "tests/index_store/test_log_checkpoints.py",
    "tests/index_store/test_log.py",
)
_REMOTE = (f"{_STORAGE}/test_remote.py", f"{_STORAGE}/test_remote_contract.py")
_MANIFEST = ("tests/index_store/test_manifest.py", "tests/index_store/test_manifest_search.py")

TESTS: dict[str, tuple[str, ...]] = {
    "index_store.log": _LOG,
    "index_store.log_checkpoints": _LOG,
    "index_store.log_fold": _LOG,
    "index_store.log_records": _LOG,
    "index_store.manifest": _MANIFEST,
    "index_store.manifest_codec": _MANIFEST,
    "index_store.publisher": ("tests/index_store/test_publisher.py",),
    "index_store.snapshot": (
        "tests/index_store/test_search.py",
        "tests/index_store/test_snapshot.py",
    ),
    "index_store.retention": ("tests/index_store/test_retention.py",),
    "index_store.collector": ("tests/index_store/test_collector.py",),
    "index_store.storage.base": (f"{_STORAGE}/test_folder.py", _CONTRACT),
    "index_store.storage.faulty": (f"{_STORAGE}/test_faulty.py",),
    "index_store.storage.fitness": (f"{_STORAGE}/test_fitness.py",),
    "index_store.storage.fitness_trials": (f"{_STORAGE}/test_fitness.py",),
    "index_store.storage.folder": (f"{_STORAGE}/test_folder.py", _CONTRACT),
    "index_store.storage.memory": (_CONTRACT, "tests/index_store/test_collector.py"),
    "index_store.storage.opening": (f"{_STORAGE}/test_folder.py", *_REMOTE),
    "index_store.storage.remote": _REMOTE,
    "index_store.storage.remote_attempts": (f"{_STORAGE}/test_remote_failures.py", *_REMOTE),
    "index_store.storage.remote_failures": (f"{_STORAGE}/test_remote_failures.py", *_REMOTE),
    "index_store.storage.remote_listing": (f"{_STORAGE}/test_remote_listing.py", *_REMOTE),
    "index_store.storage.remote_options": (f"{_STORAGE}/test_remote_failures.py", *_REMOTE),
    "index_store.storage.remote_uploads": _REMOTE,
    "index_store.storage.verdicts": (f"{_STORAGE}/test_verdicts.py",),
}
# Sweeps over every operation, and races: left out while mistakes are planted.
LONG = "fault_at_any_operation or eight_threads or random_damage or honest_servers"


if __name__ == "__main__":
    print(*dict.fromkeys(path for paths in TESTS.values() for path in paths))
