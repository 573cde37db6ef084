"""What incumbent, and what people use instead, do with one program of which one instance may run.

Usage: compare.py INCUMBENT [ROUNDS]

Two wrappers of each kind contend on this host, with the default timing of each, for a program that
writes every 20 ms that it runs. The first is killed, frozen or stopped, and what the program wrote is
the verdict. Needs python-redis-lock and redis (of PyPI), redis-server, etcd and etcdctl.
"""

import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
INCUMBENT = str(pathlib.Path(sys.argv[1]).resolve())
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
LATE = 30.0  # Seconds after which a successor counts as not coming.


class Servers:
    """A private redis-server and etcd, in a temporary directory."""

    def __init__(self, directory):
        self.socket = str(directory / "redis.sock")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        redis = ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--dir", str(directory)]
        client, peer = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
        etcd = ["etcd", "--data-dir", str(directory / "etcd"), "--listen-client-urls", client]
        etcd += ["--advertise-client-urls", client, "--listen-peer-urls", peer]
        etcd += ["--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"]
        self.endpoint = client
        self.processes = [subprocess.Popen(redis, **quiet), subprocess.Popen(etcd, **quiet)]
        until(lambda: self.answers(["redis-cli", "-s", self.socket, "ping"]), "redis-server")
        until(lambda: self.answers(["etcdctl", "--endpoints", client, "endpoint", "health"]), "etcd")

    @staticmethod
    def answers(command):
        environment = dict(os.environ, ETCDCTL_API="3")
        return subprocess.run(command, capture_output=True, env=environment, check=False).returncode == 0

    def end(self):
        for process in self.processes:
            process.terminate()
            process.wait()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def until(condition, what, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.01)


def wrappers(servers):
    """Name, and the command that runs a program under it."""
    python = [sys.executable]
    store = f"redis+unix://{servers.socket}"
    return {
        "incumbent run": lambda key: [INCUMBENT, "run", key, "--store", store, "--"],
        "etcdctl lock": lambda key: ["etcdctl", "--endpoints", servers.endpoint, "lock", key],
        "python-redis-lock": lambda key: [*python, HERE / "redis_lock_loop.py", servers.socket, key],
        "SETNX loop": lambda key: [*python, HERE / "setnx_loop.py", servers.socket, key],
    }


class Case:
    """Two contenders for one program, and the log that its instances write."""

    def __init__(self, command, directory, key):
        self.log = directory / f"{key}.log"
        self.log.touch()
        self.command = [str(part) for part in command(key)]
        self.started = []
        self.first = self.start()
        until(lambda: self.pids(), "the first program")
        self.program = self.pids()[0]
        self.second = self.start()
        time.sleep(2)  # The second stands by, whatever that means to its kind.

    def start(self):
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        environment = dict(os.environ, ETCDCTL_API="3")
        self.started.append(
            subprocess.Popen([*self.command, str(HERE / "worker.sh"), str(self.log)], env=environment, **quiet)
        )
        return self.started[-1]

    def lines(self):
        return [(int(pid), int(at) / 1e9, token) for pid, at, token in map(str.split, self.log.read_text().splitlines())]

    def pids(self):
        return list(dict.fromkeys(pid for pid, _, _ in self.lines()))

    def successor(self, event):
        """Milliseconds from the event to the first line of another instance; None if there was none in time."""
        try:
            until(lambda: len(self.pids()) > 1, "a successor", LATE)
        except TimeoutError:
            return None
        other = next(at for pid, at, _ in self.lines() if pid != self.program)
        return (other - event) * 1000

    def overlap(self):
        """Seconds during which two instances ran."""
        spans = {}
        for pid, at, _ in self.lines():
            first, _ = spans.get(pid, (at, at))
            spans[pid] = (first, at)
        ordered = sorted(spans.values())
        return sum(max(0.0, min(a[1], b[1]) - b[0]) for a, b in zip(ordered, ordered[1:]))

    def tokens(self):
        return [token for token in dict.fromkeys(token for _, _, token in self.lines())]

    def end(self):
        for wrapper in self.started:
            if wrapper.poll() is None:
                wrapper.kill()
            wrapper.wait()
        time.sleep(0.2)  # Anything that stops the program of a killed wrapper has done so by now.
        for pid in self.pids():
            if b"worker.sh" in cmdline(pid):
                os.kill(pid, signal.SIGKILL)


def cmdline(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def now():
    return time.time()


def stopped(case):
    event = now()
    case.first.terminate()
    return case.successor(event)


def program_killed(case):
    event = now()
    os.kill(case.program, signal.SIGKILL)
    return case.successor(event)


def wrapper_killed(case):
    event = now()
    case.first.kill()
    gap = case.successor(event)
    time.sleep(1)
    return gap


def frozen(case):
    event = now()
    case.first.send_signal(signal.SIGSTOP)
    gap = case.successor(event)
    time.sleep(2)
    case.first.send_signal(signal.SIGCONT)
    time.sleep(5)
    return gap


EVENTS = {
    "the wrapper is asked to stop (SIGTERM)": stopped,
    "the program is killed": program_killed,
    "the wrapper is killed (SIGKILL)": wrapper_killed,
    "the wrapper is frozen (SIGSTOP), and goes on later": frozen,
}


def milliseconds(gaps):
    there = [gap for gap in gaps if gap is not None]
    if not there:
        return f"none in {LATE:.0f} s"
    text = f"{statistics.median(there):.0f} ms"
    return text if len(there) == len(gaps) else f"{text}, and {len(gaps) - len(there)} x none in {LATE:.0f} s"


def main():
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        servers = Servers(directory)
        try:
            for title, event in EVENTS.items():
                print(f"\n{title}, median of {ROUNDS}\n")
                print("| | next program after | two at once in | for at least | token |")
                print("| --- | --- | --- | --- | --- |", flush=True)
                for wrapper, command in wrappers(servers).items():
                    gaps, overlaps, token = [], [], "none"
                    for turn in range(ROUNDS):
                        case = Case(command, directory, f"{wrapper}-{event.__name__}-{turn}".replace(" ", "-"))
                        try:
                            gaps.append(event(case))
                            overlaps.append(case.overlap())
                            if "none" not in case.tokens():
                                token = "yes"
                        finally:
                            case.end()
                    two = [overlap for overlap in overlaps if overlap > 0]
                    longest = f"{max(two):.1f} s" if two else "–"
                    print(f"| {wrapper} | {milliseconds(gaps)} | {len(two)} of {ROUNDS} | {longest} | {token} |", flush=True)
        finally:
            servers.end()


if __name__ == "__main__":
    main()
