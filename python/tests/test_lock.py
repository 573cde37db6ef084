"""Locks, re-entrant locks and semaphores, with the interfaces of `threading`."""

from __future__ import annotations

import asyncio
import inspect
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import FAST, Child, Server, wait_until

import incumbent
from incumbent import _lock, _waiting, aio


def test_it_has_the_interface_of_threading() -> None:
    for ours, theirs in [
        (incumbent.Lock, type(threading.Lock())),
        (incumbent.RLock, threading._RLock),  # type: ignore[attr-defined]
        (incumbent.Semaphore, threading.Semaphore),
    ]:
        for method in ("acquire", "release", "__enter__", "__exit__"):
            assert hasattr(theirs, method) and hasattr(ours, method)
    theirs = inspect.signature(threading.Semaphore.acquire).parameters
    assert list(inspect.signature(incumbent.Lock.acquire).parameters) == list(theirs)


def test_only_one_holds_it(name: str, store: str) -> None:
    lock, other = (incumbent.Lock(name, store=store, **FAST) for _ in range(2))
    assert lock.acquire() and lock.locked()
    assert not other.acquire(blocking=False) and not other.locked()
    assert not other.acquire(timeout=0.05)
    assert lock.status()["term"] == lock.fencing_token
    token = lock.fencing_token
    lock.release()
    assert other.acquire(timeout=60)
    assert other.fencing_token > token
    other.release()
    with pytest.raises(RuntimeError, match="does not hold"):
        other.release()
    with pytest.raises(incumbent.LeadershipLost, match="not held"):
        other.check()


def test_a_timeout_of_0_is_one_try(name: str, store: str) -> None:
    for _ in range(5):
        lock = incumbent.Lock(name, store=store, **FAST)
        assert lock.acquire(timeout=0)
        assert not incumbent.Lock(name, store=store, **FAST).acquire(timeout=0)
        lock.release()
        with incumbent.Semaphore(f"{name}-seats", 1, store=store, **FAST):
            assert not incumbent.Semaphore(f"{name}-seats", 1, store=store, **FAST).acquire(timeout=0)
        seats = incumbent.Semaphore(f"{name}-seats", 1, store=store, **FAST)
        assert seats.acquire(timeout=0)
        seats.release()


def test_threads_and_objects_exclude_each_other(name: str, store: str) -> None:
    shared = incumbent.Lock(name, store=store, **FAST)
    counter = [0]

    def work(number: int) -> None:
        lock = shared if number % 2 else incumbent.Lock(name, store=store, **FAST)
        for _ in range(5):
            with lock as held:
                held.check()
                seen = counter[0]
                threading.Event().wait(0.001)
                counter[0] = seen + 1

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert counter == [30]


def test_a_process_that_dies_leaves_its_lock(name: str, store: str, child: Callable[..., Child]) -> None:
    code = """
        import sys, incumbent
        lock = incumbent.Lock(sys.argv[1], store=sys.argv[2], interval=0.5, stop_grace=0.2)
        lock.acquire()
        print("holds")
        sys.stdin.readline()
    """
    dying = child(code, name, store)
    dying.expect("holds")
    lock = incumbent.Lock(name, store=store, **FAST)
    assert not lock.acquire(blocking=False)
    dying.signal(signal.SIGKILL)
    assert lock.acquire(timeout=60)
    lock.release()


def test_a_lock_that_was_never_released_stays_held(name: str, store: str) -> None:
    with pytest.warns(ResourceWarning, match=r"token=\d+ held> was never released"):
        assert incumbent.Lock(name, store=store, **FAST).acquire()
    other = incumbent.Lock(name, store=store, **FAST)

    def held_for() -> int:
        status = other.status()
        assert status["state"] == "held"
        return int(status["held_for_ms"])

    # Longer than a holder without heartbeats keeps it.
    wait_until(lambda: held_for() > 3000)
    assert not other.acquire(blocking=False)


def test_a_lock_that_was_won_as_its_wait_was_interrupted_is_released(
    name: str, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = incumbent.Lock(name, store=store, **FAST)

    def interrupted(pending: Any, timeout: float | None = None) -> bool:
        assert pending.wait()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(_waiting, "wait", interrupted)
        lock.acquire()
    assert lock.acquire(timeout=60)
    lock.release()


def test_a_lost_lock_is_refused(name: str, server: Server) -> None:
    lock = incumbent.Lock(name, store=server.url, **FAST)
    lock.acquire()
    server.freeze()
    held = lock.held
    assert held is not None and held.lost.wait(60)
    wait_until(lambda: held.remaining == 0)
    server.thaw()
    with pytest.raises(incumbent.LeadershipLost):
        lock.check()
    with pytest.raises(incumbent.LeadershipLost):
        lock.release()
    assert not lock.locked()


def test_a_forked_child_does_not_release_it(name: str, store: str, child: Callable[..., Child]) -> None:
    code = """
        import os, sys, incumbent
        lock = incumbent.Lock(sys.argv[1], store=sys.argv[2], interval=0.5, stop_grace=0.2)
        lock.acquire()
        pid = os.fork()
        if pid == 0:
            print("child holds", lock.locked())
            try:
                lock.acquire()
            except incumbent.Forked:
                print("child is refused")
            sys.exit()
        os.waitpid(pid, 0)
        lock.check()
        print("parent holds", lock.locked())
        lock.release()
        print("released")
    """
    forking = child(code, name, store)
    for line in ("child holds False", "child is refused", "parent holds True", "released"):
        forking.expect(line)


def test_a_forked_child_holds_no_reentrant_lock(name: str, store: str, child: Callable[..., Child]) -> None:
    code = """
        import os, sys, incumbent
        lock = incumbent.RLock(sys.argv[1], store=sys.argv[2], interval=0.5, stop_grace=0.2)
        with lock, lock:
            pid = os.fork()
            if pid == 0:
                for call in (lock.acquire, lock.__enter__, lock.release, lock.release):
                    try:
                        print("child may", call())
                    except (incumbent.Forked, incumbent.LeadershipLost) as error:
                        print("child:", type(error).__name__)
                os._exit(0)
            os.waitpid(pid, 0)
            lock.check()
        print("released", lock.locked())
    """
    forking = child(code, name, store)
    said = [forking.line() for _ in range(5)]
    assert said == ["child: Forked"] * 2 + ["child: LeadershipLost"] * 2 + ["released False"]


PRELOADED = """
import os, incumbent
lock = incumbent.Lock(os.environ["LOCK_NAME"], store=os.environ["LOCK_STORE"], interval=0.5, stop_grace=0.2)

def app(environ, start_response):
    with lock as held:
        held.check()
        start_response("200 OK", [])
        return [str(os.getpid()).encode()]
"""


def test_workers_of_a_preloaded_gunicorn_hold_locks(
    name: str, store: str, tmp_path: Path, child: Callable[..., Child]
) -> None:
    (tmp_path / "preloaded.py").write_text(PRELOADED)
    address = str(tmp_path / "socket")
    server = child(
        "from gunicorn.app.wsgiapp import run; run()",
        *["--preload", "--workers=2", f"--bind=unix:{address}", f"--chdir={tmp_path}", "preloaded:app"],
        env={"LOCK_NAME": name, "LOCK_STORE": store},
    )
    server.expect("Booting worker")
    server.expect("Booting worker")
    answered = set()

    def ask() -> int:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(address)
            asking.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: asking.recv(4096), b""))
        assert b"200 OK" in answer, server.seen
        answered.add(answer.split()[-1])
        return len(answered)

    wait_until(lambda: ask() == 2)


def test_a_lost_reentrant_lock_is_not_acquired_again(name: str, server: Server) -> None:
    lock = incumbent.RLock(name, store=server.url, **FAST)
    with pytest.raises(incumbent.LeadershipLost), lock as held:
        server.freeze()
        assert held.lost.wait(60)
        wait_until(lambda: held.remaining == 0)
        server.thaw()
        with pytest.raises(incumbent.LeadershipLost):
            lock.acquire()
        with lock:
            pytest.fail("it is lost")


def test_a_reentrant_lock_is_released_the_last_time(name: str, store: str) -> None:
    lock, other = incumbent.RLock(name, store=store, **FAST), incumbent.Lock(name, store=store, **FAST)
    with lock:
        assert lock.acquire()
        lock.release()
        assert lock.locked() and not other.acquire(blocking=False)
        with ThreadPoolExecutor(1) as pool:
            assert not pool.submit(lock.acquire, blocking=False).result()
            with pytest.raises(RuntimeError, match="this thread"):
                pool.submit(lock.release).result()
    assert other.acquire(timeout=60)
    other.release()


def test_a_semaphore_has_as_many_holders_as_seats(name: str, store: str) -> None:
    semaphores = [incumbent.Semaphore(name, 2, store=store, **FAST) for _ in range(3)]
    assert semaphores[0].acquire() and semaphores[1].acquire()
    assert not semaphores[2].acquire(blocking=False)
    assert not semaphores[2].acquire(timeout=0.05)
    semaphores[0].release()
    with semaphores[2] as seat:
        assert seat.seat in (0, 1)
        seat.check()
    semaphores[1].release()
    with pytest.raises(RuntimeError, match="holds no seat"):
        semaphores[1].release()


def test_a_block_without_a_seat_raises_why(name: str, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    semaphore = incumbent.Semaphore(name, 2, store=store, **FAST)

    def paused(pending: object) -> object:
        raise incumbent.Paused("the election is paused")

    with semaphore as seat:
        with monkeypatch.context() as patched, pytest.raises(incumbent.Paused):
            patched.setattr(_lock, "result", paused)
            with semaphore:
                pytest.fail("it has no seat")
        seat.check()


def test_asyncio_has_them_too(name: str, store: str) -> None:
    async def main() -> None:
        async with aio.lock(name, store=store, **FAST) as held:
            held.check()
            with pytest.raises(incumbent.Held):
                async with aio.lock(name, blocking=False, store=store, **FAST):
                    pass
            with pytest.raises(incumbent.TimedOut):
                async with aio.lock(name, timeout=0.05, store=store, **FAST):
                    pass
        seats = [aio.semaphore(f"{name}-seats", 2, store=store, **FAST) for _ in range(2)]
        async with seats[0] as one, seats[1] as other:
            assert {one.seat, other.seat} == {0, 1}
            with pytest.raises(incumbent.TimedOut):
                async with aio.semaphore(f"{name}-seats", 2, timeout=0.05, store=store, **FAST):
                    pass
            with pytest.raises(incumbent.Held):
                async with aio.semaphore(f"{name}-seats", 2, blocking=False, store=store, **FAST):
                    pass

    asyncio.run(main())


def test_a_task_enters_its_reentrant_lock_again(name: str, store: str) -> None:
    lock = aio.rlock(name, store=store, **FAST)

    async def other() -> int:
        async with lock as held:
            return held.fencing_token

    async def main() -> None:
        async with lock as held:
            async with lock as again:
                assert again is held
            waiting = asyncio.create_task(other())
            assert (await lock.status())["term"] == held.fencing_token
            await asyncio.sleep(0)
            assert held and not waiting.done()
        assert await waiting > held.fencing_token

    asyncio.run(main())


def test_each_task_gives_back_its_own_seat(name: str, store: str) -> None:
    seats = aio.semaphore(name, 2, store=store, **FAST)

    async def take(taken: asyncio.Event, until: asyncio.Event) -> bool:
        async with seats as seat:
            taken.set()
            await until.wait()
            return bool(seat)

    async def main() -> None:
        first, second, end = asyncio.Event(), asyncio.Event(), asyncio.Event()
        one = asyncio.create_task(take(first, second))
        await first.wait()
        other = asyncio.create_task(take(second, end))
        assert await one
        end.set()
        assert await other

    asyncio.run(main())


def test_a_lost_lock_cancels_the_block(name: str, server: Server) -> None:
    async def main() -> None:
        async with aio.lock(name, store=server.url, **FAST):
            server.freeze()
            try:
                await asyncio.sleep(60)
            finally:
                server.thaw()

    with pytest.raises(incumbent.LeadershipLost) as lost:
        asyncio.run(main())
    assert isinstance(lost.value.__cause__, asyncio.CancelledError)


ONCE = """
    import sys, pathlib, incumbent
    @incumbent.once(sys.argv[1], at_least="50s", store=sys.argv[2], interval=0.5, stop_grace=0.2)
    def report():
        with open(sys.argv[3], "a") as log:
            log.write("ran\\n")
        return "ran"
    print(report() or "skipped")
"""


def test_one_of_many_runs_per_tick(
    name: str, store: str, tmp_path: Path, child: Callable[..., Child]
) -> None:
    log = tmp_path / "log"
    outcomes = [one.line() for one in [child(ONCE, name, store, str(log)) for _ in range(4)]]
    assert sorted(outcomes) == ["ran", "skipped", "skipped", "skipped"]
    assert log.read_text() == "ran\n"


def test_one_coroutine_runs_per_tick(name: str, store: str) -> None:
    @incumbent.once(name, at_least="50s", store=store, **FAST)
    async def report() -> str:
        return "ran"

    async def main() -> list[str | None]:
        return [await report(), await report()]

    assert asyncio.run(main()) == ["ran", None]
    with pytest.raises(incumbent.ConfigError, match="takes"):
        incumbent.once(name, at_least="1ms", store=store, **FAST)(print)()


@pytest.mark.parametrize("how", ["thread", "task"])
def test_a_run_that_happened_nowhere_is_not_skipped(how: str, name: str, server: Server) -> None:
    # On a store that has just started, no one may lead before the probation is over, and the tick is over by then.
    once = incumbent.once(name, at_least="5s", store=server.url, probation="6s", **FAST)

    @once
    def report() -> None:
        pytest.fail("its tick is over")

    @once
    async def report_in_a_task() -> None:
        pytest.fail("its tick is over")

    with pytest.raises(incumbent.NotYet, match="no other candidate holds it"):
        report() if how == "thread" else asyncio.run(report_in_a_task())


def test_a_child_that_ends_takes_no_connection_from_its_parent(
    name: str, server: Server, child: Callable[..., Child]
) -> None:
    code = """
        import os, sys, incumbent, redis
        clients = redis.Redis.from_url(sys.argv[3])
        # A request that gets no answer within two seconds is sent again, over another connection.
        lock = incumbent.Lock(sys.argv[1], store=sys.argv[2], interval=2, op_timeout=2)
        for _ in range(2):
            with lock:
                pass
        before = {client["id"] for client in clients.client_list()}
        pid = os.fork()
        if pid == 0:
            sys.exit()
        os.waitpid(pid, 0)
        with lock:
            after = {client["id"] for client in clients.client_list()}
        print("the same connections", after <= before)
    """
    child(code, name, server.url, server.redis_url).expect("the same connections True")


def test_a_lock_is_not_asked_to_stop(name: str, store: str) -> None:
    with incumbent.Lock(name, store=store, **FAST) as held, pytest.raises(TypeError, match="release it"):
        held.stop()


TYPED = """
import incumbent

@incumbent.once("report", at_least="50s", store="memory:a")
async def report() -> str:
    return "ran"

@incumbent.once("report", at_least="50s", store="memory:a")
def other(number: int) -> str:
    return "ran"

async def main() -> str | None:
    return await report() or other(3)
"""


def test_a_call_that_may_be_skipped_is_typed_so() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=/dev/null", "-c", TYPED],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout
