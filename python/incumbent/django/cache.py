"""The cache of Django on a Redis, with locks that refuse a holder that has lost them.

::

    CACHES = {"default": {"BACKEND": "incumbent.django.cache.RedisCache", "LOCATION": "redis://db"}}

    with cache.lock("order:42") as held: ...
    cache.locked_get_or_set("report", make_report)
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, TypeVar

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.redis import RedisCache as _RedisCache

from .._addresses import for_incumbent
from .._lock import Lock
from .._options import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._options import Options

    V = TypeVar("V")


class RedisCache(_RedisCache):  # type: ignore[misc]
    """Locks are on the first server of ``LOCATION``, with its password and its certificates. ``OPTIONS`` may have
    ``incumbent``, the options of a lock.
    """

    def __init__(self, server: str | list[str], params: dict[str, Any]) -> None:
        options = dict(params.get("OPTIONS", {}))
        given = table(options.pop("incumbent", None), 'OPTIONS["incumbent"]')
        super().__init__(server, {**params, "OPTIONS": options})
        self._lock_options: Options = given if "store" in given else {**for_incumbent(self._servers[0], options), **given}

    def lock(self, key: str, version: int | None = None) -> Lock:
        """The lock `key`, over all processes that use this cache."""
        name = self.make_key(key, version)
        if len(name.encode()) > 200 or not name.isprintable() or set(name) & set("{}"):
            # A name of a lock has fewer characters to choose from than a key of a cache.
            name = hashlib.sha256(name.encode()).hexdigest()
        return Lock(name, **self._lock_options)

    def locked_get_or_set(
        self,
        key: str,
        default: Callable[[], V] | V,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> V:
        """As `get_or_set`, but only one process makes the value, and the others wait for it."""
        missing = object()
        if (value := self.get(key, missing, version=version)) is not missing:
            return value  # type: ignore[no-any-return]
        with self.lock(f"get_or_set:{key}", version) as held:
            if (value := self.get(key, missing, version=version)) is not missing:
                return value  # type: ignore[no-any-return]
            made: V = default() if callable(default) else default
            held.check()
            self.set(key, made, timeout=timeout, version=version)
            return made
