"""Locks by name: `Lock`, `RLock` and `Semaphore`, with the interfaces of `threading`."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from . import _native
from ._blocks import Blocks
from ._election import Leadership, document
from ._options import arguments, timeout_of, whole
from ._waiting import result
from .errors import LeadershipLost, NotElected

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from ._options import Duration, Options

#: The clients that were last used: all locks of the same stores and options share the connections of one.
_CLIENTS: OrderedDict[str, Client] = OrderedDict()
_CLIENTS_KEPT = 16
_CLIENTS_LOCK = threading.Lock()


class Client:
    """A client for some stores and options. Each process has its own: locks may be made before a fork."""

    def __init__(self, stores: list[str], keywords: dict[str, Any]) -> None:
        self._arguments = stores, keywords
        self._process: int | None = None
        self.native()

    def native(self) -> _native.Locks:
        """That of this process."""
        if self._process != os.getpid():
            self._native, self._process = _native.Locks(*self._arguments), os.getpid()
        return self._native


def client(options: Options) -> Client:
    """The client for these stores and options."""
    stores, keywords = arguments(options)
    key = repr((stores, sorted(keywords.items())))
    with _CLIENTS_LOCK:
        found = _CLIENTS.pop(key, None)
        _CLIENTS[key] = found or Client(stores, keywords)
        while len(_CLIENTS) > _CLIENTS_KEPT:
            _CLIENTS.popitem(last=False)
        return _CLIENTS[key]


class Lock:
    """A lock over all hosts, with the interface of `threading.Lock`.

    >>> import incumbent
    >>> lock = incumbent.Lock("order:42", store="memory:lock")
    >>> if lock.acquire(timeout=2):
    ...     try:
    ...         lock.check()                # before each side effect
    ...     finally:
    ...         lock.release()
    >>> with lock as held:
    ...     held.fencing_token > 0, lock.locked()
    (True, True)

    An object holds it once: any thread may release it, and other threads that share the object wait for each other.
    In a child that was forked while it was held, `locked` is false and `check` raises: the parent holds it.
    """

    def __init__(self, name: str, **options: Unpack[Options]) -> None:
        self.name = name
        self._client = client(options)
        # Among the threads of this process, so that only one of them asks the store.
        self._turn = threading.Lock()
        self._held: Leadership | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} {'held' if self._held else 'not held'}>"

    def acquire(self, blocking: bool = True, timeout: Duration | None = None) -> bool:
        """Acquires the lock, and returns whether it did. Without a timeout it waits for as long as it takes; -1 is no
        timeout, and 0 is one try, as in `threading`.

        Raises `Unreachable`, `Denied` or `ConfigError` if no one can acquire it at present.
        """
        wait = timeout_of(None if timeout == -1 else timeout, blocking)
        if _native.is_forked():
            # The turn is the parent's too: this says so, rather than wait for it.
            result(self._ask(False, None))
        begun = monotonic()
        if not self._turn.acquire(blocking, -1 if wait is None else wait):
            return False
        try:
            left = None if wait is None else max(0.0, wait - (monotonic() - begun))
            self._held = Leadership(cast(_native.Held, result(self._ask(blocking, left))))
        except NotElected:
            self._turn.release()
            return False
        except BaseException:
            self._turn.release()
            raise
        return True

    def _ask(self, blocking: bool, timeout: float | None) -> _native.Pending:
        if blocking:
            return self._client.native().acquire(self.name, timeout)
        return self._client.native().try_acquire(self.name)

    def release(self) -> None:
        """Releases the lock. It raises `LeadershipLost` if the lock was lost before."""
        self._end()

    def _end(self, error: BaseException | None = None) -> None:
        held, self._held = self._held, None
        if held is None:
            raise RuntimeError(f"release of the lock {self.name!r}, which this object does not hold")
        try:
            held._leave(error)
        finally:
            self._turn.release()

    def locked(self) -> bool:
        """Whether this object holds the lock, and may act."""
        return bool(self._held)

    def check(self) -> None:
        """Returns if the holder may act at this moment, by the clock. Call it before each side effect.

        Raises `LeadershipLost` if the lock was lost, or is not held.
        """
        if self._held is None:
            raise LeadershipLost(f"the lock {self.name!r} is not held", 0, "not held")
        self._held.check()

    @property
    def fencing_token(self) -> int:
        """A number that is higher than that of every earlier holder. Pass it to the resource with each write."""
        if self._held is None:
            raise LeadershipLost(f"the lock {self.name!r} is not held", 0, "not held")
        return self._held.fencing_token

    @property
    def held(self) -> Leadership | None:
        """What is held: how long the holder may act, and the event that is set when the lock is lost."""
        return self._held

    def status(self) -> dict[str, Any]:
        """Its holder, as the stores show it now: what ``incumbent status NAME -o json`` prints, without seats."""
        return document(self._client.native().status(self.name))

    def __enter__(self) -> Leadership:
        self.acquire()
        return cast(Leadership, self._held)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(error)


class RLock(Lock):
    """A lock that the thread that holds it can acquire again, with the interface of `threading.RLock`.

    >>> import incumbent
    >>> lock = incumbent.RLock("order:42", store="memory:rlock")
    >>> with lock, lock:
    ...     lock.locked()
    True
    >>> lock.locked()
    False
    """

    def __init__(self, name: str, **options: Unpack[Options]) -> None:
        super().__init__(name, **options)
        self._owner: int | None = None
        self._depth = 0

    def acquire(self, blocking: bool = True, timeout: Duration | None = None) -> bool:
        """Acquires the lock, or acquires it once more: then it raises `LeadershipLost` if the lock was lost before."""
        me = threading.get_ident()
        # In a forked child this thread has the number that it has in the parent.
        if self._owner != me or _native.is_forked():
            if not super().acquire(blocking, timeout):
                return False
            self._owner = me
        else:
            self.check()
        self._depth += 1
        return True

    def release(self) -> None:
        """Releases it as often as it was acquired; the last time, others get it. It raises `LeadershipLost` if the lock
        was lost before.
        """
        if self._leave_one():
            super().release()
        else:
            self.check()

    def _leave_one(self) -> bool:
        if self._owner != threading.get_ident():
            raise RuntimeError(f"release of the lock {self.name!r}, which this thread does not hold")
        self._depth -= 1
        if self._depth == 0:
            self._owner = None
        return self._depth == 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._leave_one():
            super().__exit__(kind, error, trace)
        elif error is None:
            self.check()


class Seat(Leadership):
    """A seat of a semaphore: a lock with a number."""

    def __init__(self, held: _native.Held) -> None:
        super().__init__(held)
        #: The number of the seat, from 0. No two holders have the same.
        self.seat = cast(int, held.seat)


class Semaphore:
    """At most `seats` holders over all hosts, with the interface of `threading.Semaphore`.

    >>> import incumbent
    >>> workers = incumbent.Semaphore("workers", 2, store="memory:semaphore")
    >>> with workers as one, workers as other:
    ...     sorted([one.seat, other.seat]), workers.acquire(blocking=False)
    ([0, 1], False)

    All its users must give the same number of seats. Each thread releases what it acquired last, and no other thread
    can, unlike in `threading`. Only a block may end in another thread.
    """

    def __init__(self, name: str, seats: int = 1, **options: Unpack[Options]) -> None:
        self.name = name
        self.seats = whole("seats", seats)
        self._client = client(options)
        self._taken: Blocks[Seat] = Blocks()

    def __repr__(self) -> str:
        return f"<Semaphore {self.name!r} seats={self.seats}>"

    def acquire(self, blocking: bool = True, timeout: Duration | None = None) -> bool:
        """Takes a seat, and returns whether it did."""
        try:
            self._take(blocking, timeout_of(timeout, blocking))
        except NotElected:
            return False
        return True

    def _take(self, blocking: bool, wait: float | None) -> Seat:
        held = result(self._client.native().take_seat(self.name, self.seats, blocking, wait))
        seat = Seat(cast(_native.Held, held))
        self._taken.add(seat)
        return seat

    def release(self) -> None:
        """Gives back the seat that this thread took last."""
        self._end(self._taken.take())

    def _end(self, seat: Seat | None, error: BaseException | None = None) -> None:
        if seat is None:
            raise RuntimeError(f"release of the semaphore {self.name!r}, of which this thread holds no seat")
        seat._leave(error)

    def __enter__(self) -> Seat:
        return self._take(True, None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(self._taken.take(of_another=True), error)
