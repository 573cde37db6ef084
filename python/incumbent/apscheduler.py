"""APScheduler: the same jobs in several processes run once.

::

    scheduler = BackgroundScheduler(executors={"default": incumbent.apscheduler.Executor("reports", store="redis://db")})

Every process schedules every job, in a `MemoryJobStore`; only the leader runs them.
"""

from __future__ import annotations

import threading
from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING, Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_SUBMITTED, JobSubmissionEvent
from apscheduler.executors.base import MaxInstancesReachedError
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore

from ._election import Election
from ._takeover import Campaign, led_until
from .errors import ConfigError, Error

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._election import Leadership
    from ._options import Options

__all__ = ["Executor"]


class Executor(ThreadPoolExecutor):  # type: ignore[misc]
    """A thread pool that runs jobs while this process leads the election `name`.

    A new leader runs what came due since the last one led, within the job's ``misfire_grace_time``: once, if the job
    has ``coalesce``, as APScheduler's default is. After a crash, what the last leader began between its last heartbeat
    and its death is run twice.
    """

    #: How many runs a standby remembers, for the case that it takes over.
    _KEPT = 1000
    #: For how many seconds it waits before it looks whether it is to end.
    _TURN = 0.5

    def __init__(self, name: str, max_workers: int = 10, **options: Unpack[Options]) -> None:
        super().__init__(max_workers)
        self._election = Election(name, **options)
        self._state = threading.Lock()
        self._leadership: Leadership | None = None
        self._since: datetime | None = None
        self._skipped: deque[tuple[Any, datetime]] = deque(maxlen=self._KEPT)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._campaign, name=f"incumbent-{name}", daemon=True)

    @property
    def leadership(self) -> Leadership | None:
        """The leadership of this process, while it leads.

        A job that runs goes on when it is lost. One that must not takes it at its start, and calls its `check` before
        each side effect.
        """
        return self._leadership

    def start(self, scheduler: Any, alias: str) -> None:
        """Begins to campaign.

        Raises `ConfigError` if the scheduler has a job store that other processes may share: there, a standby would mark
        runs as done that it does not run.
        """
        for store, kept in scheduler._jobstores.items():
            if not isinstance(kept, MemoryJobStore):
                raise ConfigError(
                    f"executor {alias!r}: the job store {store!r} is a {type(kept).__name__}, in which a standby would "
                    "mark runs as done that no process has run; give the scheduler a MemoryJobStore, or run it with "
                    "another executor inside `with incumbent.lead(...)`"
                )
        super().start(scheduler, alias)
        self._thread.start()

    def shutdown(self, wait: bool = True) -> None:
        """Ends the jobs, then leaves the election."""
        super().shutdown(wait)
        self._ending.set()
        if wait:
            self._thread.join()

    def _do_submit_job(self, job: Any, run_times: list[datetime]) -> None:
        with self._state:
            leads = bool(self._leadership)
            mine = [at for at in run_times if leads and (self._since is None or at > self._since)]
            if not leads:
                self._skipped.extend((job, at) for at in run_times)
        if mine:
            super()._do_submit_job(job, mine)
        else:
            self._run_job_success(job.id, [])

    def _campaign(self) -> None:
        campaign = Campaign(self._election)
        while not self._ending.is_set():
            try:
                leadership = campaign.wait(self._TURN)
                if leadership is not None:
                    self._lead(leadership)
            except Error as error:
                self._logger.error("cannot lead: %s", error)
                self._ending.wait(self._TURN)
            except Exception:
                self._logger.exception("cannot lead")
                self._ending.wait(self._TURN)
        campaign.leave()

    def _lead(self, leadership: Leadership) -> None:
        self._logger.info("elected leader, token %s", leadership.fencing_token)
        try:
            since = led_until(self._election)
            with self._state:
                self._leadership, self._since = leadership, since
                missed: dict[str, tuple[Any, list[datetime]]] = {}
                for job, at in self._skipped:
                    if since is not None and at > since:
                        missed.setdefault(job.id, (job, []))[1].append(at)
                self._skipped.clear()
            for job, run_times in missed.values():
                self._catch_up(job, run_times[-1:] if job.coalesce else run_times)
            while leadership and not self._ending.is_set():
                leadership.lost.wait(self._TURN)
            if not self._ending.is_set():
                self._logger.warning("lost leadership: %s", leadership.reason)
        finally:
            with self._state:
                self._leadership = None
            leadership.release()

    def _catch_up(self, job: Any, run_times: list[datetime]) -> None:
        """Runs what came due, as the scheduler does."""
        code = EVENT_JOB_SUBMITTED
        try:
            self.submit_job(job, run_times)
        except MaxInstancesReachedError as error:
            self._logger.warning("skipped the missed runs: %s", error)
            code = EVENT_JOB_MAX_INSTANCES
        self._scheduler._dispatch_event(JobSubmissionEvent(code, job.id, job._jobstore_alias, run_times))
