"""How this package compares with the locks that people use from Python, in one run on one Redis.

    pip install ./python python-redis-lock pottery portalocker
    python python/benches/locks.py

The peers take turns, each time in a new process. A figure is the median over all turns of the time to acquire and
release a free lock. Then the holder of each lock is frozen right before a write, past its lease, until another holder
has written, and resumed. The resource refuses a write whose token is lower than one that it has seen, if the lock has
tokens. portalocker's lock is the subscription of its holder, which lasts until the connection breaks.

    python python/benches/locks.py crowd

has twenty processes take turns on one lock, each for a millisecond. A lock that its last holder takes again at once
has many turns, but the others wait for long: a handover is a turn after one of another process.

    python python/benches/locks.py handover

times what lies between the call that releases a lock and the work of the next holder, with one process that waits and
with fifty. Each works for 20 ms, and wants the lock again 10 ms after it has released it.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

ROUNDS = 600
#: How often the peers take turns, so that each meets whatever else the machine does.
TURNS = 9
PEERS = ("incumbent", "redis-py Lock", "python-redis-lock", "pottery Redlock", "portalocker RedisLock")
#: For how many seconds a lock is granted, where that can be chosen.
LEASE = 3


# KEYS: the resource. ARGV: the token of the writer, or an empty text where the lock has none.
WRITE = """
local token, highest = tonumber(ARGV[1]), tonumber(redis.call('GET', KEYS[1]) or 0)
if token and token < highest then return 'refused' end
if token then redis.call('SET', KEYS[1], token) end
return 'written'
"""


def lock(peer: str, socket: str, name: str) -> AbstractContextManager[Any]:
    """A lock as its documentation shows it."""
    import redis

    if peer == "incumbent":
        import incumbent

        return incumbent.Lock(name, store=f"redis+unix://{socket}", failover=LEASE)
    client = redis.Redis(unix_socket_path=socket)
    if peer == "redis-py Lock":
        return client.lock(name, timeout=LEASE)
    if peer == "python-redis-lock":
        import redis_lock

        return redis_lock.Lock(client, name, expire=LEASE, auto_renewal=True)
    if peer == "pottery Redlock":
        import pottery

        return pottery.Redlock(key=name, masters={client}, auto_release_time=LEASE)
    import portalocker

    return portalocker.RedisLock(name, connection=client, timeout=60)


def uncontended(peer: str, socket: str) -> None:
    if peer == "two bare EVALSHA":
        import redis

        script = redis.Redis(unix_socket_path=socket).register_script("return redis.call('GET', KEYS[1])")
        script(keys=["bare"])

        def once() -> None:
            script(keys=["bare"])
            script(keys=["bare"])
    else:
        held = lock(peer, socket, f"free:{peer.replace(' ', '-')}")

        def once() -> None:
            with held:
                pass

    once()
    rounds = ROUNDS if peer != "portalocker RedisLock" else 2
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        once()
        taken.append(time.perf_counter() - begun)
    print(f"{statistics.median(taken) * 1e6:.0f}")


def crowd() -> None:
    members, seconds = 20, 8
    with server() as socket:
        print("| lock | turns a second | handovers a second | median wait, ms | longest wait, ms |")
        print("| --- | --- | --- | --- | --- |")
        for peer in PEERS[:4]:
            # A server that no one has used yet makes its first holder wait.
            start("uncontended", peer, socket).communicate()
            processes = [start("member", peer, socket, str(seconds)) for _ in range(members)]
            lines = [(line, number) for number, one in enumerate(processes) for line in one.communicate()[0].splitlines()]
            turns = sorted((int(line.split()[0]), number) for line, number in lines)
            waits = sorted(float(line.split()[1]) for line, _ in lines)
            handovers = sum(one[1] != next[1] for one, next in zip(turns, turns[1:]))
            rates = f"{len(turns) / seconds:.0f} | {handovers / seconds:.0f}"
            print(f"| {peer} | {rates} | {statistics.median(waits):.1f} | {waits[-1]:.0f} |")


def member(peer: str, socket: str, seconds: str) -> None:
    held, turns = lock(peer, socket, "crowd"), []
    end = time.monotonic() + float(seconds)
    while (asked := time.monotonic()) < end:
        with held:
            turns.append(f"{time.monotonic_ns()} {(time.monotonic() - asked) * 1000}")
            time.sleep(0.001)
    print("\n".join(turns))


def handover() -> None:
    seconds = 8
    print("| lock | handover with 1 waiting, ms | with 50, ms |")
    print("| --- | --- | --- |")
    for peer in PEERS[:4]:
        medians = []
        for waiting in (1, 50):
            with server() as socket:
                start("uncontended", peer, socket).communicate()
                processes = [start("hands_over", peer, socket, str(seconds)) for _ in range(waiting + 1)]
                lines = [line.split() for one in processes for line in one.communicate()[0].splitlines()]
            moments = sorted((int(at), what, by) for what, at, by in lines)
            pairs = zip(moments, moments[1:])
            taken = [next[0] - one[0] for one, next in pairs if (one[1], next[1]) == ("gave", "got") and one[2] != next[2]]
            medians.append(f"{statistics.median(taken) / 1e6:.2f}")
        print(f"| {peer} | {' | '.join(medians)} |")


def hands_over(peer: str, socket: str, seconds: str) -> None:
    held, moments = lock(peer, socket, "handed"), []
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        with held:
            moments.append(("got", time.monotonic_ns()))
            time.sleep(0.02)
            moments.append(("gave", time.monotonic_ns()))
        time.sleep(0.01)
    print("\n".join(f"{what} {at} {os.getpid()}" for what, at in moments))


def writes(peer: str, socket: str, name: str, when: str) -> None:
    import redis

    client = redis.Redis(unix_socket_path=socket)
    try:
        with lock(peer, socket, name) as held:
            print("holds", flush=True)
            if when == "later":
                sys.stdin.readline()
            token = getattr(held, "fencing_token", "")
            print(client.eval(WRITE, 1, f"resource:{name}", token).decode(), flush=True)
    except BaseException as error:
        print(type(error).__name__, flush=True)


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, *arguments]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def what_a_frozen_holder_does(peer: str, socket: str) -> str:
    name = f"frozen:{peer.replace(' ', '-')}"
    holder = start("writes", peer, socket, name, "later")
    assert holder.stdout and holder.stdin
    holder.stdout.readline()
    holder.send_signal(signal.SIGSTOP)
    follower = start("writes", peer, socket, name, "now")
    try:
        follower.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        return "no one else gets the lock while it is frozen"
    else:
        holder.send_signal(signal.SIGCONT)
        holder.stdin.write("\n")
        holder.stdin.flush()
        return holder.stdout.readline().strip()
    finally:
        for process in (holder, follower):
            process.kill()
            process.wait()


def import_time(module: str) -> float:
    def timed(code: str) -> float:
        taken = []
        for _ in range(15):
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            taken.append(time.perf_counter() - begun)
        return statistics.median(taken)

    return (timed(f"import {module}") - timed("pass")) * 1000


@contextmanager
def server() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp())
    socket = str(folder / "redis.sock")
    process = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        while not Path(socket).exists():
            time.sleep(0.01)
        yield socket
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def main() -> None:
    with server() as socket:
        print("| lock | acquire + release, free, µs | the write of its holder, frozen past the lease |")
        print("| --- | --- | --- |")
        peers = ("two bare EVALSHA", *PEERS)
        turns = [[float(start("uncontended", peer, socket).communicate()[0]) for peer in peers] for _ in range(TURNS)]
        for peer, taken in zip(peers, zip(*turns)):
            write = "–" if peer not in PEERS else what_a_frozen_holder_does(peer, socket)
            print(f"| {peer} | {statistics.median(taken):.0f} | {write} |")
        print("\n| module | import, ms |\n| --- | --- |")
        for module in ("incumbent", "redis", "redis_lock", "pottery", "portalocker"):
            print(f"| {module} | {import_time(module):.0f} |")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        globals()[sys.argv[1]](*sys.argv[2:])
    else:
        main()
