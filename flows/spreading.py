"""Where batches are worked on: threads of this machine, or the workers of a cluster.

Invariants: a worker shares nothing with this process but the URLs of store and sources; the flow is
the same whatever works for it; what a run holds open on workers is closed at its end.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

from prefect.context import FlowRunContext

from flows.settings import NightSettings
from index_store.errors import TransientError, UsageError
from tasks.resources import close_workshop

if TYPE_CHECKING:
    from prefect_dask.task_runners import DaskTaskRunner


@contextmanager
def spread_out(settings: NightSettings, run: str) -> Iterator[None]:
    """Have the task runs that are submitted meanwhile worked on where the settings say.

    Args:
        settings: What the person set.
        run: Id of the run.

    Raises:
        UsageError: The packages of the runner are not installed, or its address is none.
        TransientError: The cluster cannot be reached.
    """
    match settings.runner:
        case "threads":
            yield
        case "dask":
            with _submitting_to(_dask(settings.cluster)) as runner:
                try:
                    yield
                finally:
                    runner.client.run(close_workshop, run, on_error="ignore")
        case "ray":
            # What Ray tells would come out of standard output, where a report stands.
            with redirect_stdout(sys.stderr), _submitting_to(_ray(settings.cluster)):
                yield  # its workers end with the run


@contextmanager
def _submitting_to(runner: Any) -> Iterator[Any]:  # noqa: ANN401 - of a package that may be missing
    context = FlowRunContext.get()
    if context is None:
        raise UsageError("a cluster can only be used inside a flow run")
    with _reachable(runner), context.model_copy(update={"task_runner": runner}):
        yield runner


@contextmanager
def _reachable(runner: Any) -> Iterator[None]:  # noqa: ANN401 - of a package that may be missing
    """Connect to the cluster, and tell its address when that fails."""
    try:
        runner.__enter__()
        getattr(runner, "client", None)  # Dask connects when it is asked for its client
    except (OSError, ValueError) as error:
        raise TransientError(
            f"the cluster at {runner.address!r} cannot be reached: {error}; "
            "start it or correct the setting cluster"
        ) from error
    try:
        yield
    finally:
        runner.__exit__(None, None, None)


def _dask(address: str) -> "DaskTaskRunner":
    try:
        from prefect_dask.task_runners import DaskTaskRunner  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError("runner dask needs the extra dask: install nightpress[dask]") from error
    return DaskTaskRunner(address=address or None)


def _ray(address: str) -> Any:  # noqa: ANN401 - the extra may be missing where types are checked
    try:
        from prefect_ray import RayTaskRunner  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError("runner ray needs the extra ray: install nightpress[ray]") from error
    return RayTaskRunner(address=address or None, init_kwargs={"log_to_driver": False})
