"""Records of jobs: what was written before they named sources is still read."""

import orjson

from index_store.layout import batch_job_key
from index_store.storage.memory import MemoryStorage
from tasks.stages.night_jobs import NO_SOURCE, NightJob, NightJobs

EMBEDDER = "e" * 64
JOB = NightJob(
    name="job-1",
    requests=((b"\x01" * 32, b"\x02" * 32), (b"\x03" * 32,)),
    tokens=({"law": 3, "wages": 4}, {"law": 5}),
)


def test_a_record_comes_back_with_the_sources_of_its_texts():
    storage = MemoryStorage("jobs")
    NightJobs(storage, EMBEDDER).write(JOB)
    assert list(NightJobs(storage, EMBEDDER).open()) == [JOB]


def test_a_record_without_sources_is_charged_to_an_unknown_one_and_a_damaged_one_passed_over():
    storage = MemoryStorage("jobs")
    jobs = NightJobs(storage, EMBEDDER)
    jobs.write(JOB)
    key = batch_job_key(EMBEDDER, JOB.name)
    old = orjson.loads(storage.read(key))
    del old["sources"]
    storage.put(key, orjson.dumps(old))
    storage.put(batch_job_key(EMBEDDER, "damaged"), b'{"requests": 3}')
    (found,) = jobs.open()
    assert found.tokens == ({NO_SOURCE: 7}, {NO_SOURCE: 5})
    jobs.remove(found)
    assert list(jobs.open()) == []
