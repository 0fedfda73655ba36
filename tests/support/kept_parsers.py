"""Parser processes that stay from run to run of one test process.

Starting them is most of what a run over a few small documents takes. They are those of the product,
in a pool of the product; what starting and ending them must hold to is tested in `parsing`.
"""

from tasks.stages.parsing.isolation import ParsePool, WorkerOptions
from tasks.stages.parsing.limits import Limits

MOST_POOLS = 3  # of different options; each holds processes


class _KeptPool(ParsePool):
    """A pool that a run cannot end."""

    def close(self) -> None:
        """Stay for the next run."""

    def end(self) -> None:
        super().close()


_kept: dict[str, _KeptPool] = {}  # by what their processes are told, last used last


def kept_parsers(workers: int, limits: Limits, work: WorkerOptions) -> ParsePool:
    """Return a pool with these options; it is started by whoever asks first."""
    told = repr((workers, limits, work))
    pool = _kept.pop(told, None) or _KeptPool(workers, limits, work)
    _kept[told] = pool
    while len(_kept) > MOST_POOLS:
        _kept.pop(next(iter(_kept))).end()
    return pool
