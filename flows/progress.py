"""Shows a run at work: lines in the terminal, moving artifacts in the Prefect UI."""

import logging
from collections.abc import Sequence
from uuid import UUID

from flows.console import PROGRESS
from tasks.references import BatchReference, EmbeddedReference, PlanReference
from tasks.report import show_progress, start_progress
from tasks.stages.run_options import RunOptions

STEP_PERCENT = 10.0  # an artifact that moves for every batch would cost a small run dearly

_logger = logging.getLogger(PROGRESS)


class Progress:
    """Progress of one run."""

    def __init__(self, options: RunOptions) -> None:
        self._options = options
        self._artifacts: dict[str, UUID] = {}
        self._shown: dict[str, float] = {}

    def stage(self, name: str) -> None:
        """Say that a stage begins."""
        _logger.info("%s", name)

    def planned(self, plan: PlanReference) -> None:
        """Say what the run will do."""
        told = ", ".join(f"{count} {name}" for name, count in plan.counts.items() if count)
        _logger.info("plan      %s", told or "no documents")

    def parsed(self, batches: Sequence[BatchReference], plan: PlanReference) -> None:
        """Say how far parsing is."""
        documents = sum(batch.documents for batch in batches)
        rejected = sum(batch.rejected for batch in batches)
        chunks = sum(batch.chunks for batch in batches)
        _logger.info(
            "parse     %d/%d documents, %d chunks, %d rejected",
            documents,
            plan.documents,
            chunks,
            rejected,
        )
        self._move("parse", len(batches), plan.batches)

    def embedded(self, batches: Sequence[EmbeddedReference], plan: PlanReference) -> None:
        """Say how far embedding is."""
        texts = sum(batch.counts.texts for batch in batches)
        reused = sum(batch.counts.reused for batch in batches)
        _logger.info(
            "embed     %d/%d batches, %d texts embedded, %d vectors reused",
            len(batches),
            plan.batches,
            texts,
            reused,
        )
        self._move("embed", len(batches), plan.batches)

    def built(self, done: int, of: int) -> None:
        """Say how many shards are built; a single one has nothing to move."""
        if of > 1:
            self._move("build", done, of)

    def _move(self, stage: str, done: int, of: int) -> None:
        if stage not in self._artifacts:
            self._artifacts[stage] = start_progress(self._options, stage)
        percent = 100.0 * done / max(of, 1)
        if done >= of or percent >= self._shown.get(stage, 0.0) + STEP_PERCENT:
            self._shown[stage] = percent
            show_progress(self._artifacts[stage], percent)
