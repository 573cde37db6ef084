"""The interface of python-redis-lock 4, on the same keys, so that a fleet can move one process at a time.

Change ``import redis_lock`` to ``from incumbent.compat import redis_lock``; the two exclude each other in the meantime.
It needs `redis`, and nothing of the rest of this package.

It gives what python-redis-lock gives, and no more: a holder that is frozen past its expiry goes on beside the next
one. `incumbent.Lock` refuses it::

    with redis_lock.Lock(conn, "order:42", expire=10, auto_renewal=True):       # before
    with incumbent.Lock("order:42", store="redis://db") as held:                # after: held.check()

A lock is ``lock:NAME``, a string that holds the id of its owner. ``lock-signal:NAME`` is a list that gets one element
when it is released, for which the waiters wait.

These differ. A wait ends in time even when others win the lock meanwhile; python-redis-lock starts the whole wait again
each time. A renewal survives a Redis that is away for a moment; one of a lock that never expires is refused. `reset_all`
scans the keys bit by bit, so the server serves others meanwhile. The loggers are named after this module. There is no
`Lock.register_scripts`, none of the constants of the scripts, and no ``__version__``.
"""

from __future__ import annotations

import logging
import threading
import weakref
from base64 import b64encode
from os import urandom
from time import monotonic
from typing import TYPE_CHECKING, Any

from redis import StrictRedis
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from types import TracebackType

__all__ = [
    "AlreadyAcquired",
    "AlreadyStarted",
    "InvalidTimeout",
    "Lock",
    "NotAcquired",
    "NotExpirable",
    "TimeoutNotUsable",
    "TimeoutTooLarge",
    "reset_all",
]

_acquire_log = logging.getLogger(f"{__name__}.acquire")
_refresh_log = logging.getLogger(f"{__name__}.refresh")
_release_log = logging.getLogger(f"{__name__}.release")

# KEYS: the lock and its signal. The signal gets exactly one element, however many releases no one waited for. To
# Redis, a key has expired once more than its time has passed.
_SIGNAL = """
redis.call('DEL', KEYS[2])
redis.call('LPUSH', KEYS[2], 1)
redis.call('PEXPIRE', KEYS[2], ARGV[2] - 1)
"""
# ARGV: the id, and for how many milliseconds the signal stays.
_RELEASE = f"""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'not-acquired' end
{_SIGNAL}
redis.call('DEL', KEYS[1])
return 'ok'
"""
_RESET = f"""
{_SIGNAL}
return redis.call('DEL', KEYS[1])
"""
# ARGV: the id, and the new expiry in seconds.
_EXTEND = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'not-acquired' end
if redis.call('TTL', KEYS[1]) < 0 then return 'not-expirable' end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 'ok'
"""
_PREFIX, _SIGNAL_PREFIX = "lock:", "lock-signal:"


class AlreadyAcquired(RuntimeError):
    """This object, or one with the same id, holds the lock."""


class NotAcquired(RuntimeError):
    """The lock is not held under this id, or has expired."""


class AlreadyStarted(RuntimeError):
    """The lock is being renewed already."""


class TimeoutNotUsable(RuntimeError):
    """A timeout was given to a call that does not block."""


class InvalidTimeout(RuntimeError):
    """The timeout is negative."""


class TimeoutTooLarge(RuntimeError):
    """The timeout is longer than the expiry of the lock, which is not renewed."""


class NotExpirable(RuntimeError):
    """A lock without an expiry cannot be extended."""


class Lock:
    """A lock by name. `expire` is in seconds; with `auto_renewal` a thread extends it in time.

    An `id` is what `get_owner_id` returns to others; an object with the id of the owner counts as the owner.
    """

    def __init__(
        self,
        redis_client: Any,
        name: str,
        expire: float | str | None = None,
        id: str | bytes | None = None,
        auto_renewal: bool = False,
        strict: bool = True,
        signal_expire: int = 1000,
        blocking: bool = True,
    ) -> None:
        if strict and not isinstance(redis_client, StrictRedis):
            raise ValueError(f"redis_client is {redis_client!r}, and must be a StrictRedis unless strict=False is given")
        if auto_renewal and not expire:
            raise ValueError("auto_renewal needs an expire to renew")
        self._client = redis_client
        self._expire = _whole_seconds(expire)
        self._id = _text_id(id)
        self._name = _PREFIX + name
        self._signal = _SIGNAL_PREFIX + name
        self._signal_expire = signal_expire
        self._lock_renewal_interval = self._expire * 2 / 3 if auto_renewal and self._expire else None
        self._lock_renewal_thread: threading.Thread | None = None
        self._lock_renewal_stop = threading.Event()
        self.blocking = blocking

    @property
    def id(self) -> str:
        """The id under which this object acquires the lock."""
        return self._id

    def get_owner_id(self) -> str | None:
        """The id of whoever holds the lock."""
        owner = self._client.get(self._name)
        return owner.decode("ascii", "replace") if isinstance(owner, bytes) else owner

    def locked(self) -> bool:
        """Whether anyone holds the lock."""
        return bool(self._client.exists(self._name))

    def acquire(self, blocking: bool = True, timeout: float | str | None = None) -> bool:
        """Acquires the lock, and returns whether it did. The timeout is in whole seconds; 0 is none."""
        _acquire_log.debug("Acquiring Lock(%r) ...", self._name)
        if self.get_owner_id() == self._id:
            raise AlreadyAcquired(f"{self._name} is held under the id {self._id} already")
        if not blocking and timeout is not None:
            raise TimeoutNotUsable("a call that does not block has no timeout")
        wait = int(timeout) if timeout else 0
        if wait < 0:
            raise InvalidTimeout(f"a timeout must not be negative, and this one is {wait}")
        if self._expire and self._lock_renewal_interval is None and wait > self._expire:
            raise TimeoutTooLarge(f"a timeout of {wait} s is longer than the expiry of {self._expire} s")

        until = monotonic() + wait if wait else None
        while not self._client.set(self._name, self._id, nx=True, ex=self._expire):
            left = None if until is None else until - monotonic()
            if not blocking or (left is not None and left <= 0):
                _acquire_log.warning("Failed to acquire Lock(%r).", self._name)
                return False
            # A holder that died does not signal: only its expiry shows it. To Redis, 0 is no timeout.
            patience = min(filter(None, (left, self._expire)), default=0)
            self._client.blpop(self._signal, max(patience, 0.01) if patience else 0)
        _acquire_log.info("Acquired Lock(%r).", self._name)
        if self._lock_renewal_interval is not None:
            self._start_lock_renewer(self._lock_renewal_interval)
        return True

    def extend(self, expire: float | str | None = None) -> None:
        """Makes the lock expire this many seconds from now; by default, as many as when it was made."""
        seconds = _whole_seconds(expire) or self._expire
        if seconds is None:
            raise TypeError("give an expire, here or to the lock: there is none to extend it by")
        outcome = self._run(_EXTEND, seconds)
        if outcome == "not-expirable":
            raise NotExpirable(f"{self._name} was acquired without an expiry, so there is none to extend")
        if outcome != "ok":
            raise NotAcquired(f"{self._name} is not held under the id {self._id}, or has expired")

    def release(self) -> None:
        """Releases the lock, by this object or one with the same id."""
        self._stop_lock_renewer()
        _release_log.debug("Releasing Lock(%r).", self._name)
        if self._run(_RELEASE, self._signal_expire) != "ok":
            raise NotAcquired(f"{self._name} is not held under the id {self._id}, or has expired")

    def reset(self) -> None:
        """Deletes the lock, whoever holds it."""
        self._run(_RESET, self._signal_expire)

    def __enter__(self) -> Lock:
        if not self.acquire(blocking=self.blocking):
            raise NotAcquired(f"{self._name} is held by {self.get_owner_id()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _run(self, script: str, argument: int) -> object:
        outcome = self._client.eval(script, 2, self._name, self._signal, self._id, argument)
        return outcome.decode() if isinstance(outcome, bytes) else outcome

    def _start_lock_renewer(self, interval: float) -> None:
        if self._lock_renewal_thread is not None:
            raise AlreadyStarted(f"{self._name} is being renewed already")
        _refresh_log.debug(
            "Starting renewal thread for Lock(%r). Refresh interval: %s seconds.", self._name, interval
        )
        self._lock_renewal_stop = threading.Event()
        self._lock_renewal_thread = threading.Thread(
            target=_renew, args=(self._name, weakref.ref(self), interval, self._lock_renewal_stop), daemon=True
        )
        self._lock_renewal_thread.start()

    def _stop_lock_renewer(self) -> None:
        thread, self._lock_renewal_thread = self._lock_renewal_thread, None
        if thread is None:
            return
        _refresh_log.debug("Signaling renewal thread for Lock(%r) to exit.", self._name)
        self._lock_renewal_stop.set()
        thread.join()
        _refresh_log.debug("Renewal thread for Lock(%r) exited.", self._name)


def reset_all(redis_client: Any) -> None:
    """Deletes all locks of a database, whoever holds them."""
    for key in redis_client.scan_iter(f"{_PREFIX}*"):
        name = key.decode() if isinstance(key, bytes) else key
        Lock(redis_client, name.removeprefix(_PREFIX), strict=False).reset()


def _renew(name: str, lock: weakref.ref[Lock], interval: float, stop: threading.Event) -> None:
    """Extends a lock for as long as its object lives. It keeps no reference meanwhile."""
    wait = interval
    while not stop.wait(wait):
        _refresh_log.debug("Refreshing Lock(%r).", name)
        held = lock()
        if held is None:
            _refresh_log.debug("Stopping loop because Lock(%r) was garbage collected.", name)
            break
        wait = interval
        try:
            held.extend()
        except NotAcquired:
            _refresh_log.error("Lost Lock(%r): it has expired, and another may hold it.", name)
            break
        except RedisError as error:
            _refresh_log.warning("Cannot refresh Lock(%r): %s; trying again.", name, error)
            wait = interval / 10
        del held
    _refresh_log.debug("Exiting renewal thread for Lock(%r).", name)


def _whole_seconds(expire: float | str | None) -> int | None:
    seconds = int(expire) if expire else 0
    if seconds < 0:
        raise ValueError(f"an expire must not be negative, and this one is {seconds}")
    return seconds or None


def _text_id(id: object) -> str:
    if id is None:
        return b64encode(urandom(18)).decode()
    if isinstance(id, bytes):
        return id.decode() if id.isascii() else b64encode(id).decode()
    if isinstance(id, str):
        return id
    raise TypeError(f"an id is text or bytes, not {type(id).__name__}")
