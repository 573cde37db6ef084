"""Celery, with real workers and beats."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import celery
import pytest
import redis
from celery.app.task import Context
from conftest import Child, Server, wait_until
from django.utils.functional import lazystr
from kombu.utils.json import dumps, loads

import incumbent
from incumbent._takeover import led_until
from incumbent.celery import AlreadyQueued

SHOP = """
    import os, time, pathlib, celery, incumbent.celery
    folder = pathlib.Path(os.environ["SHOP_FOLDER"])
    app = celery.Celery("shop", broker=os.environ["SHOP_BROKER"], backend=os.environ["SHOP_BROKER"])
    app.conf.incumbent = {"store": os.environ["SHOP_STORE"], "interval": 0.5, "stop_grace": 0.2}
    # A worker takes one task at a time, so that another one gets what a frozen one cannot do.
    app.conf.worker_prefetch_multiplier = 1
    app.conf.task_acks_late = True
    app.conf.beat_schedule = {"tick": {"task": "shop.tick", "schedule": 1.0}}

    def log(name, line):
        with open(folder / name, "a") as file:
            file.write(f"{line}\\n")

    @app.task(name="shop.bill", bind=True, base=incumbent.celery.Once, once={"keys": ["customer"]}, throws=(Exception,))
    def bill(self, customer, by="nobody"):
        log("begun", f"{os.getpid()} {self.leadership.fencing_token}")
        while not (folder / "finish").exists():
            time.sleep(0.01)
        self.leadership.check()
        log("billed", f"{os.getpid()} {self.leadership.fencing_token}")

    @app.task(name="shop.sync", bind=True, base=incumbent.celery.Once, once={"unlock_before_run": True})
    def sync(self, what="all"):
        log("synced", what)
        while not (folder / "finish").exists():
            time.sleep(0.01)
        self.leadership

    @app.task(name="shop.typo", base=incumbent.celery.Once, once={"keys": ["costumer"]})
    def typo(customer):
        pass

    @app.task(name="shop.again", bind=True, base=incumbent.celery.Once, max_retries=2)
    def again(self):
        log("again", self.request.retries)
        if self.request.retries < 2:
            raise self.retry(countdown=0)

    @app.task(name="shop.tick")
    def tick():
        log("ticks", "tick")
"""


class Shop:
    """A project with tasks, whose workers and beats are processes."""

    def __init__(self, folder: Path, server: Server, start: Callable[..., Child]) -> None:
        self.folder = folder
        (folder / "shop.py").write_text("\n".join(line[4:] for line in SHOP.splitlines()))
        self.env = {
            "SHOP_FOLDER": str(folder),
            "SHOP_BROKER": f"redis+socket://{server.socket}",
            "SHOP_STORE": server.url,
            "PYTHONPATH": str(folder),
        }
        self._start = start

    def run(self, *arguments: str) -> Child:
        code = "import sys; from celery.__main__ import main; sys.argv[0] = 'celery'; main()"
        return self._start(code, "-A", "shop", *arguments, env=self.env)

    def worker(self, number: int) -> Child:
        worker = self.run("worker", "-c", "1", "-n", f"worker{number}@test", "--loglevel", "INFO")
        worker.expect("ready")
        return worker

    def beat(self, number: int) -> Child:
        schedule = str(self.folder / f"schedule{number}")
        return self.run("beat", "-S", "incumbent.celery:Scheduler", "-s", schedule, "--pidfile=", "-l", "INFO")

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def finish(self) -> None:
        (self.folder / "finish").touch()


@pytest.fixture
def shop(
    tmp_path: Path, server: Server, child: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    shop = Shop(tmp_path, server, child)
    for name, value in shop.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    yield shop
    sys.modules.pop("shop", None)


def tasks() -> Any:
    import shop  # type: ignore[import-not-found]

    return shop


def test_a_task_that_is_queued_or_runs_is_not_queued_again(shop: Shop) -> None:
    bill = tasks().bill
    queued = bill.delay("ada", by="me")
    with pytest.raises(AlreadyQueued) as refused:
        bill.delay("ada", by="you")
    assert 0 < refused.value.countdown <= 3600
    assert bill.apply_async(("ada",), once={"graceful": True}).state == "REJECTED"
    other = bill.delay("bob")
    shop.worker(1)
    wait_until(lambda: shop.lines("begun"))
    with pytest.raises(AlreadyQueued, match="running already; if its worker has died"):
        bill.delay("ada")
    shop.finish()
    queued.get(timeout=60)
    other.get(timeout=60)
    # A worker says that a task has ended before it has released its lock.
    wait_until(lambda: _queues(lambda: bill.delay("ada")))
    wait_until(lambda: len(shop.lines("billed")) == 3)


def _queues(call: Callable[[], object]) -> bool:
    try:
        call()
    except AlreadyQueued:
        return False
    return True


def test_a_task_that_runs_unlocked_is_queued_again(shop: Shop) -> None:
    sync = tasks().sync
    queued = sync.delay()
    with pytest.raises(AlreadyQueued, match="queued already"):
        sync.delay()
    shop.worker(1)
    wait_until(lambda: shop.lines("synced"))
    sync.delay()
    shop.finish()
    with pytest.raises(Exception, match="this run of shop.sync holds no lock"):
        queued.get(timeout=60)


def test_a_mark_lasts_for_its_timeout_after_the_task_may_begin(shop: Shop) -> None:
    bill = tasks().bill

    def lasts(customer: str, **options: Any) -> float:
        bill.apply_async((customer,), **options)
        with pytest.raises(AlreadyQueued) as refused:
            bill.delay(customer)
        return refused.value.countdown

    assert 3600 < lasts("ada", once={"timeout": "2h"}) <= 7200
    later = datetime.now(timezone.utc) + timedelta(hours=5)
    assert 5 * 3600 < lasts("bob", eta=later) <= 6 * 3600
    # As for the workers, one without a zone is in UTC.
    assert 5 * 3600 < lasts("cem", eta=later.replace(tzinfo=None)) <= 6 * 3600
    assert 5 * 3600 < lasts("dan", countdown=5 * 3600) <= 6 * 3600
    bill.apply_async(("eve",), once={"timeout": 0.001})
    wait_until(lambda: _queues(lambda: bill.delay("eve")))


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Vienna")),
        {2: "b", 10: "a"},
        lazystr("a translation"),
        (1, ["a", b"b"]),
        Decimal("1.50"),
        UUID(int=1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_key_is_the_same_after_the_broker(shop: Shop, value: Any) -> None:
    bill = tasks().bill
    assert bill.get_key((value,)) == bill.get_key((loads(dumps(value)),)) != bill.get_key(("ada",))
    # What only pickle can send.
    assert bill.get_key(({"a"},)) == bill.get_key(({"a"},))


def test_what_cannot_be_told_is_refused(shop: Shop) -> None:
    shop_tasks = tasks()
    with pytest.raises(incumbent.ConfigError, match="'costumer', but its arguments are customer"):
        shop_tasks.typo.delay("ada")
    with pytest.raises(incumbent.LeadershipLost, match="holds no lock"):
        shop_tasks.bill("ada")
    for options, words in [
        ({"store": "memory:a"}, "a store memory cannot mark queued tasks"),
        ({"store": "sqlite:/a"}, "a store sqlite"),
        ({"store": "redis+sentinel://a/b"}, r"a store redis\+sentinel"),
        ({"store": "valkey+cluster://a"}, r"a store redis\+cluster"),
        ({"store": "rediss://a?server-name=b"}, "has no server-name"),
        ("redis://a", "must be a dict of options"),
    ]:
        shop_tasks.app.conf.incumbent = options
        with pytest.raises(incumbent.ConfigError, match=words):
            shop_tasks.bill.delay("ada")


def test_a_majority_marks_queued_tasks_and_logs_in(shop: Shop) -> None:
    bill = tasks().bill
    servers = [Server() for _ in range(3)]
    try:
        for server in servers:
            with redis.Redis.from_url(server.redis_url) as client:
                client.config_set("requirepass", "secret")
        stores = [server.url for server in servers]
        tasks().app.conf.incumbent = {"store": stores, "password": "secret", "interval": 0.5, "stop_grace": 0.2}
        servers[0].process.kill()
        bill.delay("ada")
        with pytest.raises(AlreadyQueued):
            bill.delay("ada")
        servers[1].process.kill()
        with pytest.raises(incumbent.Unreachable, match="no majority of the stores can mark"):
            bill.delay("bob")
    finally:
        for server in servers:
            server.close()


def test_a_task_that_fails_to_get_its_lock_can_be_queued_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    bill = tasks().bill

    def acquire(lock: incumbent.Lock, **options: Any) -> bool:
        with pytest.raises(AlreadyQueued):
            bill.delay("ada")
        raise incumbent.Unreachable("no majority")

    tasks().app.conf.task_always_eager = True
    with monkeypatch.context() as patched:
        patched.setattr(incumbent.Lock, "acquire", acquire)
        assert isinstance(bill.delay("ada").result, incumbent.Unreachable)
    tasks().app.conf.task_always_eager = False
    bill.delay("ada")


def test_a_task_that_is_applied_here_holds_its_lock(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # As in Celery 5.3: a request does not inherit what the one around it has.
    monkeypatch.setattr(
        celery.Task, "push_request", lambda task, **request: task.request_stack.push(Context(**request))
    )
    bill = tasks().bill
    shop.finish()
    bill.apply(("ada",), throw=True)
    tasks().app.conf.task_always_eager = True
    bill.delay("ada").get()
    assert len(shop.lines("billed")) == 2


def test_a_retry_keeps_its_place(shop: Shop) -> None:
    queued = tasks().again.delay()
    shop.worker(1)
    queued.get(timeout=60)
    assert shop.lines("again") == ["0", "1", "2"]


def test_a_worker_that_is_killed_unlocks_its_task(shop: Shop) -> None:
    bill = tasks().bill
    bill.delay("ada")
    first = shop.worker(1)
    wait_until(lambda: shop.lines("begun"))
    pool_process = int(shop.lines("begun")[0].split()[0])
    first.signal(signal.SIGKILL)
    os.kill(pool_process, signal.SIGKILL)
    wait_until(lambda: _queues(lambda: bill.delay("ada")))
    shop.worker(2)
    shop.finish()
    wait_until(lambda: shop.lines("billed"))
    assert len(shop.lines("begun")) == 2


def test_a_frozen_worker_is_refused_when_it_goes_on(shop: Shop) -> None:
    bill = tasks().bill
    frozen = bill.delay("ada")
    shop.worker(1)
    wait_until(lambda: shop.lines("begun"))
    pool_process = int(shop.lines("begun")[0].split()[0])
    os.kill(pool_process, signal.SIGSTOP)
    try:
        wait_until(lambda: _queues(lambda: bill.delay("ada")))
        shop.worker(2)
        wait_until(lambda: len(shop.lines("begun")) == 2)
        shop.finish()
        wait_until(lambda: shop.lines("billed"))
    finally:
        os.kill(pool_process, signal.SIGCONT)
    with pytest.raises(Exception, match="the leadership of term"):
        frozen.get(timeout=60)
    assert len(shop.lines("billed")) == 1
    tokens = [int(line.split()[1]) for line in shop.lines("begun")]
    assert shop.lines("billed")[0].endswith(str(tokens[1])) and tokens[1] > tokens[0]


def test_one_of_three_beats_sends_and_another_takes_over(shop: Shop, server: Server) -> None:
    beats = {number: shop.beat(number) for number in range(3)}
    election = incumbent.Election("celery-beat", store=server.url, interval=0.5, stop_grace=0.2)
    queue = tasks().app.connection().default_channel.client

    def leader() -> int | None:
        holder = election.status()["holder"]
        pids = {beat.process.pid: number for number, beat in beats.items()}
        return pids.get(holder["pid"]) if holder else None

    for _ in range(2):
        wait_until(lambda: leader() is not None)
        number = leader()
        assert number is not None
        before = queue.llen("celery")
        wait_until(lambda before=before: queue.llen("celery") > before)  # type: ignore[misc]
        beats.pop(number).signal(signal.SIGKILL)
    wait_until(lambda: leader() is not None)
    survivor = leader()
    assert survivor is not None
    before = queue.llen("celery")
    wait_until(lambda: queue.llen("celery") > before)
    beats[survivor].signal(signal.SIGTERM)
    output, _ = beats[survivor].process.communicate()
    assert beats[survivor].process.returncode == 0, output
    assert election.status()["state"] != "held"


@pytest.mark.parametrize(
    "terms, gap_ms",
    [
        ([(None, None), ("work-ended", 5000)], 5000),
        ([(None, None), ("withdrawn", None), ("withdrawn", None), ("work-ended", 7000), ("resigned", 9000)], 7000),
        # It led until no one knows when.
        ([(None, None), (None, None), ("resigned", 9000)], None),
        ([(None, None), ("withdrawn", None)], None),
        ([(None, None)], None),
    ],
)
def test_the_last_leader_is_the_last_who_led(terms: list[tuple[str | None, int | None]], gap_ms: int | None) -> None:
    class Election:
        def history(self, count: int) -> dict[str, Any]:
            return {"terms": [{"reason": reason, "gap_ms": gap} for reason, gap in terms[:count]]}

        def status(self) -> dict[str, Any]:
            return {"held_for_ms": 1000}

    before = datetime.now(timezone.utc)
    until = led_until(Election())  # type: ignore[arg-type]
    if gap_ms is None or until is None:
        assert until is gap_ms
    else:
        gap = timedelta(milliseconds=1000 + gap_ms)
        assert before - gap <= until <= datetime.now(timezone.utc) - gap


def test_a_new_beat_sends_what_came_due_since_the_last_one_led(shop: Shop, server: Server) -> None:
    from incumbent.celery import Scheduler

    app: celery.Celery = tasks().app
    app.conf.beat_schedule = {"daily": {"task": "shop.tick", "schedule": timedelta(days=1)}}
    queue = app.connection().default_channel.client
    first = Scheduler(app, schedule_filename=str(shop.folder / "a"))
    wait_until(lambda: first.tick() == 0 and first._leadership is not None)
    entry = first.schedule["daily"]
    second = Scheduler(app, schedule_filename=str(shop.folder / "b"))
    second.tick()
    # To the second, whose file is its own, the run is long overdue; the first has led until now.
    second.schedule["daily"].last_run_at = entry.default_now() - timedelta(days=2)
    first.close()
    wait_until(lambda: second.tick() == 0 and second._leadership is not None)
    second.tick()
    assert queue.llen("celery") == 0
    # What came due after that, it sends.
    second.schedule["daily"].last_run_at = entry.default_now() - timedelta(days=1, seconds=1)
    second._heap = None
    second.tick()
    assert queue.llen("celery") == 1
    second.close()
