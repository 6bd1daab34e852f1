"""Where independent jobs are done: here, in other processes or under any joblib backend, or by a
client of a cluster. One loop over the same function; results come in the order of the tasks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from meshconv.errors import MeshConvError
from meshconv.operators.threads import one_blas_thread

Task = TypeVar("Task")
Result = TypeVar("Result")
Job = Callable[[Task], Result]

_WAITING = 64  # tasks that a client holds at once, at least
_AHEAD = 4  # the same for each of its threads


def results(
    job: Job[Task, Result], tasks: Iterable[Task], *, workers: int = 1, client: Any = None
) -> Iterator[Result]:
    """Yield what a job makes of each task.

    Parameters
    ----------
    job : callable
        Called with one task; sent to every worker, a cluster's once each.
    tasks : iterable
        Taken one by one: no more of them wait than keep the workers busy.
    workers : int
        How many run under joblib; -1 for one per core. Processes, unless a backend is in force
        (``with joblib.parallel_config(backend="threading"): ...``).
    client : optional
        Used instead: a Dask client, the address or the file of its scheduler, or anything with
        ``submit(function, *arguments)`` that returns futures.

    Raises
    ------
    ModuleNotFoundError
        If an address is given, and distributed is not installed.
    MeshConvError
        If a worker process is ended from outside.
    """
    with one_blas_thread():  # as in every worker: the same bits wherever a job is done
        if client is not None:
            with connected(client) as door:
                yield from _by_client(job, tasks, door)
        elif workers == 1:
            yield from map(job, tasks)
        else:
            yield from _by_joblib(job, tasks, workers)


@contextmanager
def connected(client: Any) -> Iterator[Any]:
    """Give the client, or for the time of a block one of the scheduler at an address or in a
    file.
    """
    if not isinstance(client, str | Path):
        yield client
        return
    from distributed import Client

    file = Path(client)
    how = {"scheduler_file": str(file)} if file.is_file() else {"address": str(client)}
    with Client(**how) as made:
        yield made


def _by_joblib(job: Job[Task, Result], tasks: Iterable[Task], workers: int) -> Iterator[Result]:
    from joblib import Parallel, delayed

    call = delayed(_done)
    try:
        yield from Parallel(n_jobs=workers, return_as="generator")(
            call(job, task) for task in tasks
        )
    except BrokenExecutor as error:
        raise MeshConvError(
            "a worker process was ended by the system, killed or for want of memory",
            hint="run it again, what lies in a cache is kept; fewer workers need less memory",
        ) from error


def _by_client(job: Job[Task, Result], tasks: Iterable[Task], client: Any) -> Iterator[Result]:
    shared, submit, most = job, client.submit, _WAITING
    if hasattr(client, "scatter"):  # Dask; not hashed: results are kept by content, in the cache
        shared = client.scatter(job, broadcast=True, hash=False)
        submit = partial(client.submit, pure=False)
        most = max(most, _AHEAD * sum(client.nthreads().values()))
    waiting: deque[Any] = deque()
    for task in tasks:
        waiting.append(submit(_done, shared, task))
        if len(waiting) >= most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _done(job: Job[Task, Result], task: Task) -> Result:
    with one_blas_thread():
        return job(task)
