#!/usr/bin/env python3
"""A candidate that speaks only the bare protocol, on one key, over a socket of its own.

standby  SETNX key 1 wins a free key. Otherwise GET every interval; after as many equal answers as
         --polls, GETSET key 1: whoever gets the old value back has won, anybody else leaves.
leader   INCR every interval, and acts as long as its last INCR is younger than the window.
exit     on SIGTERM, a leader stops acting and sends DEL.

It appends a line to the log for everything it does while it leads: `- NAME EVENT NANOS`.
"""

import argparse
import os
import signal
import socket
import sys
import time


class Server:
    """Just enough of RESP."""

    def __init__(self, address, timeout):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.replies = self.socket.makefile("rb")

    def __call__(self, *words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            data = str(word).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
        self.socket.sendall(b"".join(parts))
        line = self.replies.readline()
        kind, rest = line[:1], line[1:].strip()
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return rest.decode()
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self.replies.read(size + 2)[:-2].decode()
        raise OSError(f"the server said {line!r}")


def boot_nanos():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


class Candidate:
    def __init__(self, options):
        self.options = options
        self.log = os.open(options.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.server = Server(options.server, options.interval * options.polls)
        self.told = False
        signal.signal(signal.SIGTERM, self.tell)

    def tell(self, *_):
        self.told = True

    def note(self, event):
        os.write(self.log, f"- {self.options.name} {event} {boot_nanos()}\n".encode())

    def campaign(self):
        """Returns whether it won; it leaves when somebody else was faster."""
        key, interval = self.options.key, self.options.interval
        seen, equal = None, 0
        while not self.told:
            if self.server("SETNX", key, 1) == 1:
                return True
            counter = self.server("GET", key)
            equal = equal + 1 if counter == seen else 0
            seen = counter
            if seen is not None and equal >= self.options.polls:
                return self.server("GETSET", key, 1) == seen
            time.sleep(interval)
        return False

    def lead(self):
        key, interval = self.options.key, self.options.interval
        tenure = interval * (self.options.polls - 1)
        self.note("begin")
        beaten = time.monotonic()
        while not self.told:
            now = time.monotonic()
            if now - beaten >= interval:
                self.server("INCR", key)
                beaten = now
            if time.monotonic() - beaten >= tenure:
                return
            self.note("act")
            time.sleep(0.005)
        self.note("end")
        self.server("DEL", key)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--interval", type=float, required=True)
    parser.add_argument("--polls", type=int, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--log", required=True)
    candidate = Candidate(parser.parse_args())
    if candidate.campaign():
        candidate.lead()
        return 0
    return 0 if candidate.told else 3


if __name__ == "__main__":
    sys.exit(main())
