"""What the tests share: servers of their own, names of their own, and processes that are ended with the test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

#: A timing under which failures show soon, also on a busy machine.
FAST: Any = {"interval": 0.5, "stop_grace": 0.2}


class Server:
    """A Redis on a socket in its own folder."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="incumbent-python-"))
        self.socket = self.folder / "redis.sock"
        program = os.environ.get("INCUMBENT_TEST_REDIS_SERVER", "redis-server")
        options = ["--port", "0", "--unixsocket", str(self.socket), "--save", "", "--dir", str(self.folder)]
        self.process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        wait_until(self.socket.exists)

    @property
    def url(self) -> str:
        """Its address for `incumbent`."""
        return f"redis+unix://{self.socket}"

    @property
    def redis_url(self) -> str:
        """Its address for redis-py."""
        return f"unix://{self.socket}"

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)


class Child:
    """A process that runs Python, writes lines that a test waits for, and is ended with the test."""

    def __init__(self, code: str, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.seen: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", textwrap.dedent(code), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(env or {})},
        )

    def line(self) -> str:
        """Its next line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"it ended; it wrote: {self.seen}"
        self.seen.append(line)
        return line.strip()

    def expect(self, wanted: str) -> None:
        """Reads until a line that contains this."""
        while wanted not in self.line():
            pass

    def go_on(self) -> None:
        """Gives it a line to read."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def wait_until(condition: Callable[[], object], within: float = 180.0) -> None:
    """Waits for a condition; the bound only ends a broken test."""
    until = time.monotonic() + within
    while not condition():
        assert time.monotonic() < until, "the condition never came true"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def store(shared_server: Server) -> str:
    """A Redis that many tests use."""
    return shared_server.url


@pytest.fixture
def server() -> Iterator[Server]:
    """A Redis that this test may freeze."""
    server = Server()
    yield server
    server.thaw()
    server.close()


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"test-{uuid4()}"


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def start(code: str, *arguments: str, env: dict[str, str] | None = None) -> Child:
        children.append(Child(code, *arguments, env=env))
        return children[-1]

    yield start
    for one in children:
        one.end()
