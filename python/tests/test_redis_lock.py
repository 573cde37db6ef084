"""The interface of python-redis-lock, beside the package itself. Its own tests run too: see `tests/python`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
import redis_lock as theirs
from conftest import Child, Server, wait_until

from incumbent.compat import redis_lock as ours

PUBLIC = [name for name in dir(theirs.Lock) if not name.startswith("_") and not name.endswith("_script")]


def test_it_has_the_same_names_and_arguments() -> None:
    def parameters(function: Callable[..., object]) -> list[tuple[str, object]]:
        signature = inspect.signature(function)
        return [(parameter.name, parameter.default) for parameter in signature.parameters.values()]

    for name in ours.__all__:
        mine, other = getattr(ours, name), getattr(theirs, name)
        if isinstance(mine, type) and issubclass(mine, Exception):
            assert mine.__bases__ == other.__bases__, name
    for name in [*PUBLIC, "__init__"]:
        if name not in ("register_scripts", "id", "blocking"):
            assert parameters(getattr(ours.Lock, name)) == parameters(getattr(theirs.Lock, name)), name
    assert parameters(ours.reset_all) == parameters(theirs.reset_all)


def test_a_lock_that_never_expires_is_not_renewed(shared_server: Server, name: str) -> None:
    connection = redis.Redis.from_url(shared_server.redis_url)
    for expire in (None, 0):
        with pytest.raises(ValueError, match="needs an expire"):
            ours.Lock(connection, name, expire=expire, auto_renewal=True)


WORK = """
    import sys, redis, pathlib
    if sys.argv[1] == "theirs":
        import redis_lock
    else:
        from incumbent.compat import redis_lock
    connection = redis.Redis.from_url(sys.argv[2])
    counter = pathlib.Path(sys.argv[3])
    print("ready")
    sys.stdin.readline()
    for _ in range(25):
        # No expiry, so a waiter wakes by the signal of the other package, or never.
        with redis_lock.Lock(connection, "mixed"):
            number = int(counter.read_text())
            counter.write_text(str(number + 1))
    print("done")
"""


def test_a_mixed_fleet_never_holds_one_lock_twice(
    shared_server: Server, tmp_path: Path, child: Callable[..., Child]
) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    fleet = [
        child(WORK, package, shared_server.redis_url, str(counter))
        for package in ("theirs", "ours", "theirs", "ours")
    ]
    for one in fleet:
        one.expect("ready")
    for one in fleet:
        one.go_on()
    for one in fleet:
        one.expect("done")
    assert counter.read_text() == "100"


@pytest.mark.parametrize(("one", "other"), [(ours, theirs), (theirs, ours)])
def test_each_sees_what_the_other_holds(
    one: object, other: object, shared_server: Server, name: str
) -> None:
    connection = redis.Redis.from_url(shared_server.redis_url)
    mine, yours = one.Lock(connection, name, expire=60, id="me"), other.Lock(connection, name, expire=60)  # type: ignore[attr-defined]
    with mine:
        assert yours.locked() and yours.get_owner_id() == "me"
        assert not yours.acquire(blocking=False)
        other.Lock(connection, name, id="me").extend(600)  # type: ignore[attr-defined]
        assert connection.ttl(f"lock:{name}") > 60
        yours.reset()
        assert yours.acquire(timeout=1)
        yours.release()
        with pytest.raises(one.NotAcquired):  # type: ignore[attr-defined]
            mine.release()
        assert mine.acquire()


def test_a_wait_ends_in_time_even_when_others_win_meanwhile(
    shared_server: Server, name: str, child: Callable[..., Child]
) -> None:
    # Two holders hand the lock to each other: each signal wakes the third, and none of the wins is its own.
    connection = redis.Redis.from_url(shared_server.redis_url)
    code = """
        import sys, redis, threading
        from incumbent.compat import redis_lock
        connection = redis.Redis.from_url(sys.argv[1])
        lock = redis_lock.Lock(connection, sys.argv[2])
        print("tries")
        print("won", lock.acquire(timeout=1))
    """
    held = ours.Lock(connection, name)
    held.acquire()
    waiting = child(code, shared_server.redis_url, name)
    waiting.expect("tries")
    signal = f"lock-signal:{name}"
    while waiting.process.poll() is None:
        connection.lpush(signal, 1)
        wait_until(lambda: connection.llen(signal) == 0 or waiting.process.poll() is not None)
    waiting.expect("won False")


def test_a_renewal_survives_a_moment_without_redis(server: Server, name: str) -> None:
    connection = redis.Redis(unix_socket_path=str(server.socket), socket_timeout=0.1)
    lock = ours.Lock(connection, name, expire=3, auto_renewal=True)
    lock._lock_renewal_interval = 0.2
    lock.acquire()
    server.freeze()
    assert lock._lock_renewal_thread is not None
    lock._lock_renewal_thread.join(0.6)
    server.thaw()
    connection.expire(f"lock:{name}", 2)
    wait_until(lambda: connection.pttl(f"lock:{name}") > 2000)
    lock.release()
