"""Kills the leader of two that run one incumbent, on a file and on a Redis, and waits until the standby leads.

takeover.py INCUMBENT ITS-VERSION
"""

import pathlib
import signal
import subprocess
import sys
import tempfile
import time

PATIENCE = 120


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {PATIENCE} s: {what}"
        time.sleep(0.05)
    return found


def lead(incumbent, store, mark):
    """Starts a candidate whose program writes its process id into a file."""
    program = ["sh", "-c", f"echo $$ > {mark}.new && mv {mark}.new {mark} && exec sleep 1000"]
    return subprocess.Popen([incumbent, "run", "demo", "--store", store, "--", *program])


def take_over(incumbent, store, folder):
    first, second = folder / "first", folder / "second"
    leader = lead(incumbent, store, first)
    standby = None
    try:
        wait_for("a leader", first.exists)
        standby = lead(incumbent, store, second)
        candidates = [incumbent, "candidates", "demo", "--store", store]
        wait_for("a standby", lambda: "standby" in subprocess.run(candidates, capture_output=True, text=True).stdout)
        assert not second.exists(), "two lead"
        leader.send_signal(signal.SIGKILL)
        wait_for("the standby leads", second.exists)
        assert not pathlib.Path("/proc", first.read_text().strip()).exists(), "the program of the dead leader runs on"
        standby.terminate()
        assert standby.wait(PATIENCE) == 128 + signal.SIGTERM, standby.returncode
    finally:
        for one in filter(None, (leader, standby)):
            one.kill()
            one.wait()


def main(incumbent, version):
    named = subprocess.run([incumbent, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    assert named == version, named
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "file").mkdir()
        take_over(incumbent, f"sqlite:{folder}/elections.db", folder / "file")
        (folder / "redis").mkdir()
        socket = folder / "redis.sock"
        server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_for("the server", socket.exists)
            take_over(incumbent, f"redis+unix://{socket}", folder / "redis")
        finally:
            server.terminate()
            server.wait()


main(*sys.argv[1:])
