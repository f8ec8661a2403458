"""A thread that does, one after another, what would keep the vCPU's thread waiting."""
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class Worker(Generic[Job, Result]):
    """Does jobs in the order in which they are given, and brings back what came of them.

    perform(job) is called on the worker's thread, finish(job, result) on that of the owner, who
    is the only one to call the methods here. post(function) has a function called on the owner's.
    An exception in `perform` is raised where `finish` would have been called.
    """

    def __init__(self, name: str, perform: Callable[[Job], Result],
                 finish: Callable[[Job, Result], None], post: Callable[[Callable[[], None]], None]):
        self.name = name
        self.perform = perform
        self.finish = finish
        self.post = post
        self.outstanding = 0  # jobs that are not finished
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Job, Any, BaseException | None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, job: Job) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._main, name=self.name, daemon=True)
            self._thread.start()
        self.outstanding += 1
        self._jobs.put(job)

    def drain(self) -> None:
        """Wait for all jobs and finish them, those too that a `finish` submits."""
        while self.outstanding:
            self._finish_next()

    def close(self) -> None:
        """Have all jobs done, without finishing them, and end the thread."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def _finish_all(self) -> None:
        while not self._done.empty():  # `drain` may have been faster
            self._finish_next()

    def _finish_next(self) -> None:
        job, result, error = self._done.get()
        self.outstanding -= 1
        if error is not None:
            raise error
        self.finish(job, result)

    def _main(self) -> None:
        while (job := self._jobs.get()) is not None:
            result: Any = None
            error = None
            try:
                result = self.perform(job)
            except BaseException as mistake:
                error = mistake
            self._done.put((job, result, error))
            self.post(self._finish_all)
