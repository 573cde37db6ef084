"""A program under python-redis-lock, as its documentation says: an expiry, renewed by its thread."""

import signal
import subprocess
import sys

import redis
import redis_lock

client = redis.StrictRedis(unix_socket_path=sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

with redis_lock.Lock(client, sys.argv[2], expire=10, auto_renewal=True):
    program = subprocess.Popen(sys.argv[3:])
    try:
        program.wait()
    finally:
        program.terminate()
        program.wait()
