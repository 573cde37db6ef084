"""APScheduler: the same jobs in three processes run once, and another process takes over."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from conftest import Child, wait_until

JOBS = """
    import os, sys
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
    scheduler.add_job(lambda: None, "cron", second="*", id="tick", misfire_grace_time=30)
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

    fleet = {one.process.pid: one for one in [child(JOBS, name, store, str(log)) for _ in range(3)]}
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
