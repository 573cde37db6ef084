"""APScheduler: the same jobs in three processes run once, and another process takes over."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from apscheduler.events import EVENT_JOB_EXECUTED, EVENT_JOB_MAX_INSTANCES
from apscheduler.jobstores.base import BaseJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from conftest import Child, wait_until

import incumbent
from incumbent.apscheduler import Executor

JOBS = """
    import os, sys, time
    from datetime import datetime, timezone
    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.events import EVENT_JOB_EXECUTED
    from incumbent.apscheduler import Executor

    executor = Executor(sys.argv[1], store=sys.argv[2], interval=0.5, stop_grace=0.2)
    scheduler = BackgroundScheduler(executors={"default": executor}, timezone=timezone.utc)

    def ran(event):
        with open(sys.argv[3], "a") as log:
            log.write(f"{event.scheduled_run_time.isoformat()} {os.getpid()}\\n")

    # The same moments in every process.
    scheduler.add_job(time.sleep, "cron", args=[float(sys.argv[4])], second="*", id="tick", misfire_grace_time=30)
    scheduler.add_listener(ran, EVENT_JOB_EXECUTED)
    scheduler.start()
    print("started")
    sys.stdin.readline()
    scheduler.shutdown()
    print("ended")
"""


def test_the_same_jobs_in_three_processes_run_once(
    name: str, store: str, tmp_path: Path, child: Callable[..., Child]
) -> None:
    log = tmp_path / "log"

    def runs() -> list[list[str]]:
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []

    fleet = {one.process.pid: one for one in [child(JOBS, name, store, str(log), "0") for _ in range(3)]}
    for one in fleet.values():
        one.expect("started")
    wait_until(lambda: len(runs()) >= 3)
    first = int(runs()[-1][1])
    # It leaves in order: no run is lost, none is repeated.
    fleet[first].go_on()
    fleet[first].expect("ended")
    handed_over = len(runs())
    wait_until(lambda: len(runs()) >= handed_over + 3)
    moments = [moment for moment, _ in runs()]
    assert max(Counter(moments).values()) == 1
    assert {int(pid) for _, pid in runs()[handed_over:]} != {first}
    second = int(runs()[-1][1])
    fleet[second].signal(signal.SIGKILL)
    wait_until(lambda: int(runs()[-1][1]) not in (first, second))


def test_a_job_longer_than_its_interval_is_taken_over(
    name: str, store: str, tmp_path: Path, child: Callable[..., Child]
) -> None:
    log = tmp_path / "log"
    fleet = {one.process.pid: one for one in [child(JOBS, name, store, str(log), "1.5") for _ in range(2)]}
    for one in fleet.values():
        one.expect("started")
    wait_until(lambda: log.exists() and log.read_text())
    first = fleet.pop(int(log.read_text().split()[1]))
    first.signal(signal.SIGKILL)
    (second,) = fleet
    wait_until(lambda: log.read_text().count(f" {second}\n") >= 3)


def test_missed_runs_of_a_job_that_still_runs_are_skipped(name: str) -> None:
    executor = Executor(name, store=f"memory:{name}", interval=0.1, stop_grace=0.05)
    scheduler = BackgroundScheduler(executors={"default": executor})
    events: list[int] = []
    scheduler.add_listener(lambda event: events.append(event.code), EVENT_JOB_EXECUTED | EVENT_JOB_MAX_INSTANCES)
    election = incumbent.Election(name, store=f"memory:{name}", interval=0.1, stop_grace=0.05)
    election.campaign().release()
    before = election.campaign()
    job = scheduler.add_job(lambda: None, "interval", seconds=0.2, misfire_grace_time=60)
    scheduler.start()
    wait_until(lambda: len(executor._skipped) > 1)
    # What this process began when it led before.
    executor._instances[job.id] = job.max_instances
    executor._skipped[-1] = (job, job.next_run_time)
    before.release()
    wait_until(lambda: EVENT_JOB_MAX_INSTANCES in events)
    del executor._instances[job.id]
    wait_until(lambda: EVENT_JOB_EXECUTED in events)
    scheduler.shutdown()


def test_a_job_store_that_processes_share_is_refused(name: str) -> None:
    class Shared(BaseJobStore):  # type: ignore[misc]
        pass

    Shared.__abstractmethods__ = frozenset()
    executor = Executor(name, store=f"memory:{name}")
    scheduler = BackgroundScheduler(executors={"default": executor}, jobstores={"jobs": Shared()})
    with pytest.raises(incumbent.ConfigError, match="the job store 'jobs' is a Shared"):
        scheduler.start()
    assert not scheduler.running and executor.leadership is None
