"""Work on the hosts of a big fleet by as many processes as there are processors, in order."""

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")

# Hosts for a process; with fewer, starting it costs more than it saves.
FEW = 100
# Hosts that a process is given at once.
_CHUNK = 16
# So many times as many are begun before the first of them is taken: their results wait in memory.
_AHEAD = 40


class SpreadError(Exception):
    """The work was not done; the message says why."""


def spread(work: Callable[[_T], _R], items: Sequence[_T]) -> Iterator[_R]:
    """What `work` makes of each item, in the order of the items.

    Processes are forked, so that `work` may hold what could not be sent to them; what it returns
    must be what can be sent back.

    Raises:
        SpreadError: a process was ended from outside.
    """
    processes = min(_processors(), len(items) // FEW)
    if processes < 2:  # noqa: PLR2004 - one process is this one
        yield from map(work, items)
        return
    begun: deque[Future[list[_R]]] = deque()
    with _pool(processes, work) as pool:
        for start in range(0, len(items), _CHUNK):
            begun.append(pool.submit(_do_all, items[start : start + _CHUNK]))
            if len(begun) == _AHEAD:
                yield from begun.popleft().result()
        while begun:
            yield from begun.popleft().result()


@contextmanager
def beside(hosts: int, *jobs: Callable[[], None]) -> Iterator[None]:
    """Does these about so many hosts while the block does something else.

    Raises:
        SpreadError: a process was ended from outside.
    """
    if not jobs or _processors() < 2 or hosts < FEW:  # noqa: PLR2004 - one process is this one
        yield
        for job in jobs:
            job()
        return
    with _pool(len(jobs), lambda number: jobs[number]()) as pool:
        begun = [pool.submit(_do, number) for number in range(len(jobs))]
        yield
        for each in begun:
            each.result()


@contextmanager
def _pool(processes: int, work: Callable[[Any], Any]) -> Iterator[ProcessPoolExecutor]:
    forking = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(processes, forking, initializer=_begin, initargs=(work,))
    try:
        yield pool
    except BrokenProcessPool:
        raise SpreadError(
            "a process that judged hosts was ended from outside; is there memory enough?"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _processors() -> int:
    """Those that this process may use."""
    if sys.platform != "linux":  # system libraries of macOS do not survive a fork: CPython 33725
        return 1
    return len(os.sched_getaffinity(0))


_work: Callable[[Any], Any]


def _begin(work: Callable[[Any], Any]) -> None:
    """In a process of the pool."""
    gc.freeze()  # to look for cycles among what the parent has made would copy all of it
    global _work  # noqa: PLW0603 - a function is all that a pool's process can be given
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to answer
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    """A parent that is killed cannot end its processes, and they would wait for it for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _do_all(items: Sequence[Any]) -> list[Any]:
    return [_work(item) for item in items]


def _do(item: Any) -> Any:
    return _work(item)
