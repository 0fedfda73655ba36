"""Embed much at once at the night rate: jobs that the provider answers hours later at half price.

What is late or failed when the deadline comes is left to be embedded directly, as everything else
is; this stage only fills the store with vectors before.

Invariants: a text that stands in an open job is given to no other; what a killed run gave away is
collected by the next one; a vector is stored the moment its line is read.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from secrets import token_hex

from index_store.embedder import Embedder, RequestLimits
from index_store.embedders.packing import pack
from index_store.embedders.remote.batch_jobs import BatchJob, BatchJobs
from index_store.embeddings import EmbeddingStore
from index_store.errors import TransientError
from index_store.storage.base import Storage
from tasks.stages.checkpoints import ParsedBatch, open_table
from tasks.stages.embedding import (
    EmbeddingCounts,
    Wanted,
    tokens_by_source,
    total,
    wanted_texts,
)
from tasks.stages.night_jobs import NightJob, NightJobs
from tasks.stages.purse import NIGHT_RATE, Purse
from tasks.stages.run_options import NightOptions
from tasks.stages.spending import Spend, merged, shared_out

logger = logging.getLogger("nightpress.embed")  # shown on the terminal and in the UI

HOUR_S = 3600.0
SETTLE_POLLS = 3  # after a job was cancelled, for what it had done by then


@dataclass(frozen=True, slots=True, kw_only=True)
class NightClocks:
    """What the stage reads and how it waits; simulated in tests.

    Attributes:
        now: Seconds that never go back.
        wait: Waits for some seconds.
    """

    now: Callable[[], float]
    wait: Callable[[float], None]


class NightDesk:
    """Gives texts away in jobs and collects the answers.

    Args:
        storage: The store.
        embedder: Whose vectors they are.
        jobs: The provider's jobs.
        store: Keeps vectors.
        options: How much, how long.
        purse: Pays for requests.
        clocks: Time.
    """

    def __init__(
        self,
        storage: Storage,
        embedder: Embedder,
        jobs: BatchJobs,
        store: EmbeddingStore,
        options: NightOptions,
        purse: Purse,
        clocks: NightClocks,
    ) -> None:
        self._storage = storage
        self._embedder = embedder
        self._limits: RequestLimits = embedder.limits
        self._jobs = jobs
        self._store = store
        self._options = options
        self._purse = purse
        self._clocks = clocks
        self._records = NightJobs(storage, embedder.spec.id)
        self._open: list[NightJob] = []
        self._away: set[bytes] = set()
        self._aside: dict[str, float] = {}  # what was paid for each job of this run
        self._given = 0
        self.counts = EmbeddingCounts()

    def embed(self, batches: Iterable[ParsedBatch]) -> EmbeddingCounts:
        """Fill the store with vectors of the batches' texts, as far as the night goes.

        Returns:
            What came; the texts that did not are simply not stored.

        Raises:
            StoppedError: The provider refuses the key, or the budget is spent.
            UsageError: It has no such jobs.
        """
        began = self._clocks.now()
        for record in self._records.open():
            self._take_over(record)
        try:
            self._give_away(batches)
        except TransientError as error:
            logger.warning("night rate: no more jobs are created (%s)", error)
        self._collect_until(began + self._options.wait_s)
        return self.counts

    def _take_over(self, record: NightJob) -> None:
        """Go on with a job of an earlier run; one that never was is forgotten."""
        if record.job is None:
            found = self._jobs.find(record.name)
            if found is None:
                self._records.remove(record)
                return
            record = self._records.created(record, found.id)
        logger.info("night rate: job %s of an earlier run is waited for", record.job)
        self._hold(record)

    def _hold(self, record: NightJob) -> None:
        self._open.append(record)
        self._away.update(each for request in record.requests for each in request)

    def _give_away(self, batches: Iterable[ParsedBatch]) -> None:
        texts: list[Wanted] = []
        for batch in batches:
            texts += self._missing(batch)
            while len(texts) >= self._options.job_texts:
                self._give(texts[: self._options.job_texts])
                texts = texts[self._options.job_texts :]
        if texts and (self._given or len(texts) >= self._options.least_texts):
            self._give(texts)

    def _missing(self, batch: ParsedBatch) -> list[Wanted]:
        """Return the texts of a batch that are neither stored nor given away."""
        with open_table(self._storage, batch) as table:
            if table is None:
                return []
            hashes = table.text_hashes(0, table.rows)
            known, _ = self._store.find(hashes)
            rows = []
            for row, text_hash in enumerate(hashes):
                if not known[row] and text_hash not in self._away:
                    self._away.add(text_hash)
                    rows.append(row)
            return wanted_texts(self._embedder, table.take(rows), counted_by=batch.tokenizer)

    def _give(self, texts: Sequence[Wanted]) -> None:
        """Create a job; what is known of it is recorded before and after each step."""
        packed = pack([each.tokens for each in texts], self._limits)
        requests = [[texts[place] for place in request] for request in packed]
        record = NightJob(
            name=token_hex(16),
            requests=tuple(tuple(each.hash for each in request) for request in requests),
            tokens=tuple(tokens_by_source(request) for request in requests),
        )
        tokens = sum(each.tokens for each in texts)
        self._aside[record.name] = self._purse.pay(tokens, NIGHT_RATE)
        self._records.write(record)
        lines = b"".join(
            self._jobs.line(number, [each.text for each in request])
            for number, request in enumerate(requests)
        )
        record = self._records.uploaded(record, self._jobs.upload(record.name, lines))
        hours = max(1, round(self._options.wait_s / HOUR_S))
        created = self._jobs.create(record.name, record.file or "", hours)
        self._hold(self._records.created(record, created.id))
        self._given += len(texts)
        logger.info("night rate: job %s with %d texts is created", created.id, len(texts))

    def _collect_until(self, deadline: float) -> None:
        while self._open:
            self._open = [record for record in self._open if not self._look(record)]
            if not self._open:
                return
            if self._clocks.now() >= deadline:
                self._call_off()
                return
            self._clocks.wait(min(self._options.poll_s, deadline - self._clocks.now()))

    def _look(self, record: NightJob) -> bool:
        """Ask for a job, and collect it when it is over; tell whether it is."""
        try:
            job = self._jobs.get(record.job or "")
            if job is not None and not job.is_final:
                return False
            if job is None:
                self._write_off(record)
            else:
                self._collect(record, job)
        except TransientError as error:
            logger.warning("night rate: job %s is asked for later (%s)", record.job, error)
            return False
        self._records.remove(record)
        for file in (record.file, job and job.answers, job and job.errors):
            if file:
                self._jobs.remove(file)
        return True

    def _collect(self, record: NightJob, job: BatchJob) -> None:
        """Store the vectors of a job, complete or not."""
        came: set[int] = set()
        spends: dict[str, Spend] = {}
        sizes = [len(request) for request in record.requests]
        for answer in self._jobs.answers(job.answers, sizes) if job.answers else ():
            if answer.vectors is None or answer.number in came:
                logger.warning("night rate: request %d failed (%s)", answer.number, answer.why)
                continue
            came.add(answer.number)
            self._store.add(record.requests[answer.number], answer.vectors)
            expected = record.tokens[answer.number]
            spends = merged([spends, shared_out(expected, answer.tokens, at_night=True)])
        tokens = sum(sum(record.tokens[number].values()) for number in came)
        if record.name in self._aside:  # else another run paid for it
            billed = sum(spend.tokens for spend in spends.values())
            self._purse.settle(self._aside.pop(record.name), tokens, billed, NIGHT_RATE)
        texts = sum(sizes[number] for number in came)
        more = EmbeddingCounts(
            texts=texts, tokens=tokens, requests=len(record.requests), spends=spends
        )
        self.counts = total([self.counts, more])
        logger.info(
            "night rate: job %s ended as %s with %d of %d texts",
            job.id,
            job.status,
            texts,
            sum(sizes),
        )

    def _write_off(self, record: NightJob) -> None:
        """Count a job of this run that the provider has forgotten as paid."""
        if record.name in self._aside:
            tokens = sum(sum(request.values()) for request in record.tokens)
            self._purse.settle(self._aside.pop(record.name), tokens, None, NIGHT_RATE)
            spends = merged(shared_out(each, None, at_night=True) for each in record.tokens)
            self.counts = total([self.counts, EmbeddingCounts(spends=spends)])
        logger.warning("night rate: job %s is not known to the provider any more", record.job)

    def _call_off(self) -> None:
        """Cancel what is late, and take what it had done by then."""
        for record in self._open:
            logger.warning("night rate: job %s is late; its texts are embedded now", record.job)
            try:
                self._jobs.cancel(record.job or "")
            except TransientError as error:
                logger.warning("night rate: job %s is not cancelled (%s)", record.job, error)
        for _ in range(SETTLE_POLLS):
            self._open = [record for record in self._open if not self._look(record)]
            if not self._open:
                return
            self._clocks.wait(self._options.poll_s)
