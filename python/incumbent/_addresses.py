"""The addresses of `incumbent` and of redis-py differ for Unix sockets only."""

from __future__ import annotations


def for_incumbent(url: str) -> str:
    """
    >>> for_incumbent("unix:///run/redis.sock"), for_incumbent("redis://db")
    ('redis+unix:///run/redis.sock', 'redis://db')
    """
    return f"redis+{url}" if url.startswith("unix://") else url


def for_redis_py(url: str) -> str:
    """
    >>> for_redis_py("redis+unix:///run/redis.sock"), for_redis_py("redis://db")
    ('unix:///run/redis.sock', 'redis://db')
    """
    return url.removeprefix("redis+") if url.startswith("redis+unix://") else url
