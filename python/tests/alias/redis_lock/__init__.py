"""`import redis_lock` gives ours: with this folder in PYTHONPATH, the tests of python-redis-lock test our module."""

import sys

from incumbent.compat import redis_lock

sys.modules[__name__] = redis_lock
