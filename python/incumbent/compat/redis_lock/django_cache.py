"""The cache backend of python-redis-lock, for `django-redis`: `lock`, `locked_get_or_set` and `reset_all`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django_redis.cache import RedisCache as _RedisCache

from . import Lock, reset_all

if TYPE_CHECKING:
    from collections.abc import Callable

    V = TypeVar("V")


class RedisCache(_RedisCache):  # type: ignore[misc]
    """Give it as ``BACKEND``: ``"incumbent.compat.redis_lock.django_cache.RedisCache"``."""

    def _raw_client(self) -> Any:
        try:
            return self.client.get_client()
        except Exception as error:
            raise NotImplementedError(f"this cache has no client of redis-py to lock with: {error}") from error

    def lock(
        self, key: str, expire: float | None = None, id: str | bytes | None = None, auto_renewal: bool = False
    ) -> Lock:
        """The lock `key`."""
        return Lock(self._raw_client(), key, expire=expire, id=id, auto_renewal=auto_renewal)

    def locked_get_or_set(
        self,
        key: str,
        value_creator: Callable[[], V],
        version: int | None = None,
        expire: float | None = None,
        id: str | bytes | None = None,
        lock_key: str | None = None,
        timeout: Any = DEFAULT_TIMEOUT,
    ) -> V:
        """The cached value. If there is none, one of the processes that ask makes it, and the others wait for it."""
        if (value := self.get(key, version=version)) is not None:
            return value  # type: ignore[no-any-return]
        with self.lock(lock_key or f"get_or_set:{key}", expire=expire, id=id):
            if (value := self.get(key, version=version)) is not None:
                return value  # type: ignore[no-any-return]
            made = value_creator()
            if made is None:
                raise ValueError("`value_creator` must return a value")
            self.set(key, made, timeout=timeout, version=version)
            return made

    def reset_all(self) -> None:
        """Deletes all locks, whoever holds them."""
        reset_all(self._raw_client())
