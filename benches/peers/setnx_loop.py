"""The loop that people write by hand: SET NX EX, renewed by a thread, deleted at exit."""

import os
import signal
import subprocess
import sys
import threading
import time

import redis

TTL = 10

client = redis.Redis(unix_socket_path=sys.argv[1])
key = sys.argv[2]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

while not client.set(key, os.getpid(), nx=True, ex=TTL):
    time.sleep(1)


def renew():
    while True:
        time.sleep(TTL / 3)
        client.expire(key, TTL)


threading.Thread(target=renew, daemon=True).start()
program = subprocess.Popen(sys.argv[3:])
try:
    program.wait()
finally:
    program.terminate()
    program.wait()
    client.delete(key)
