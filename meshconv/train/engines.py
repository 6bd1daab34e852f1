"""Where independent jobs are done: here, in other processes or under any joblib backend, or by a
client of a cluster. One loop over the same function; results come in the order of the tasks.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from meshconv.errors import MeshConvError
from meshconv.operators.kept_memory import kept_memory
from meshconv.operators.threads import one_blas_thread

Task = TypeVar("Task")
Result = TypeVar("Result")
Job = Callable[[Task], Result]

_WAITING = 64  # tasks that a client holds at once, at least
_AHEAD = 4  # the same for each of its threads
_SECONDS = 2.0  # of work in a message: each costs some 5 ms in the scheduler, driver and worker


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
    shared, submit, threads = job, client.submit, 0
    if hasattr(client, "scatter"):  # Dask; not hashed: results are kept by content, in the cache
        shared = client.scatter(job, broadcast=True, hash=False)
        submit = partial(client.submit, pure=False)
        threads = sum(client.nthreads().values())
    most = max(_WAITING, _AHEAD * threads)
    at_most = max(1, most // (2 * threads)) if threads else 1
    left, start = iter(tasks), time.monotonic()
    waiting: deque[tuple[Any, int]] = deque()
    ahead, done, together = 0, 0, 1
    while some := list(islice(left, together)):
        waiting.append((submit(_all_done, shared, some), len(some)))
        ahead += len(some)
        while ahead + together > most:
            future, count = waiting.popleft()
            yield from future.result()
            ahead, done = ahead - count, done + count
            pace = done / (threads or 1) / max(time.monotonic() - start, 1e-9)
            together = max(1, min(at_most, round(_SECONDS * pace)))
    while waiting:
        yield from waiting.popleft()[0].result()


def _all_done(job: Job[Task, Result], tasks: Sequence[Task]) -> list[Result]:
    return [_done(job, task) for task in tasks]


def _done(job: Job[Task, Result], task: Task) -> Result:
    with one_blas_thread(), kept_memory():
        return job(task)
