"""The same for asyncio: work is cancelled when what it holds is lost, as `asyncio.timeout` cancels it.

>>> import asyncio, incumbent
>>> async def main():
...     async with incumbent.aio.lead("billing", store="memory:aio") as leadership:
...         leadership.check()
...         return "billed"
>>> asyncio.run(main())
'billed'

Nothing here starts a thread or blocks the loop. It runs on any loop that has `add_reader`, uvloop included.
"""

from __future__ import annotations

import asyncio
import functools
import json
from typing import TYPE_CHECKING, Any, TypeVar, cast

from . import _election, _native
from ._lock import client
from ._options import arguments, seconds, timeout_of, whole
from .errors import NotYet, Paused, TimedOut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from types import TracebackType

    from typing_extensions import Concatenate, ParamSpec, Unpack

    from ._options import Duration, Options

    P = ParamSpec("P")
    R = TypeVar("R")
    L = TypeVar("L", bound="Leadership")

__all__ = ["Election", "Leadership", "Seat", "lead", "lock", "once", "rlock", "run_as_leader", "semaphore"]


async def result(pending: _native.Pending) -> object:
    """Waits for its result. A cancelled wait ends what was waited for."""
    loop = asyncio.get_running_loop()
    if not pending.ready():
        ended = loop.create_future()

        def look() -> None:
            if pending.ready() and not ended.done():
                ended.set_result(None)

        loop.add_reader(pending.fileno(), look)
        try:
            await ended
        except BaseException:
            pending.cancel()
            raise
        finally:
            loop.remove_reader(pending.fileno())
    return pending.result()


class Lost(_election.Lost):
    """The event that is set when the work is asked to stop, with the interface of `asyncio.Event`."""

    async def wait(self) -> bool:  # type: ignore[override]
        """Waits until the work is asked to stop."""
        return self.is_set() or await result(self._held.lost()) is not None


class Leadership(_election.Leadership):
    """As `incumbent.Leadership`: what waits is a coroutine."""

    lost: Lost

    def __init__(self, held: _native.Held) -> None:
        super().__init__(held)
        self.lost = Lost(held)

    async def release(self) -> None:  # type: ignore[override]
        """Ends the leadership: the work has ended. A standby takes over at once."""
        self._end_work()
        await self._end("resigned")

    async def _end(self, how: str) -> None:
        if not _native.is_forked():
            await result(self._held.release(how))


class Seat(Leadership):
    """A seat of a semaphore: a lock with a number."""

    def __init__(self, held: _native.Held) -> None:
        super().__init__(held)
        #: The number of the seat, from 0. No two holders have the same.
        self.seat = cast(int, held.seat)


class Guard:
    """Cancels the current task when something is lost, and turns that into `LeadershipLost` at the end."""

    def __init__(self, held: Leadership) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("this must run in a task")
        self.task = task
        self._cancelling = _cancelling(task)
        self._cancelled = False
        self.held = held
        self._lost = held._held.lost()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._lost.fileno(), self._look)
        self._look()

    def _look(self) -> None:
        if self._lost.ready():
            self._loop.remove_reader(self._lost.fileno())
            # A release in the block is no loss.
            self._cancelled = not self.held._work_ended and self.task.cancel()

    async def leave(self, error: BaseException | None) -> None:
        """Releases what is held, and raises what the block should end with, if anything else than `error`."""
        self._loop.remove_reader(self._lost.fileno())
        self._lost.cancel()
        loss = self.held._end_work()
        ours = self._cancelled and asyncio.current_task() is self.task and _uncancel(self.task) <= self._cancelling
        await self.held._end(_election.how_ended(error))
        if loss is not None and (error is None or (ours and isinstance(error, asyncio.CancelledError))):
            raise loss from error


def _cancelling(task: asyncio.Task[Any]) -> int:
    # Python 3.10 does not count.
    return int(getattr(task, "cancelling", lambda: 0)())


def _uncancel(task: asyncio.Task[Any]) -> int:
    return int(getattr(task, "uncancel", lambda: 0)())


class _Held:
    """An asynchronous context manager for what is won at its start, kept while the block runs, and released."""

    def __init__(self) -> None:
        self._guards: list[Guard] = []

    def _mine(self) -> Guard | None:
        """That of the innermost block of this task."""
        task = asyncio.current_task()
        return next((guard for guard in reversed(self._guards) if guard.task is task), None)

    def _take(self) -> Guard:
        """That of the block that ends. Each task ends what it began, except that the loop finalizes an asynchronous
        generator in a task of its own.
        """
        guard = self._mine()
        if guard is None:
            left = [one for one in self._guards if one.task.done()] or self._guards
            if len(set(left)) != 1:
                raise RuntimeError(
                    "which block ends here is unknown, so none is released: one that may end in another task needs its "
                    "own object"
                )
            guard = left[-1]
        self._guards.remove(guard)
        return guard

    def _win(self) -> _native.Pending:
        raise NotImplementedError

    def _keep(self, held: L) -> L:
        try:
            self._guards.append(Guard(held))
        except BaseException:
            # There is no block that could release it.
            held._held.release("resigned").cancel()
            raise
        return held

    async def __aenter__(self) -> Leadership:
        return self._keep(_held(await result(self._win())))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._take().leave(error)


class _Waits(_Held):
    """What is waited for until it is won, for at most `timeout`, or not at all."""

    def __init__(
        self,
        name: str,
        *,
        timeout: Duration | None = None,
        blocking: bool = True,
        **options: Unpack[Options],
    ) -> None:
        super().__init__()
        self.name = name
        self._timeout = timeout_of(timeout, blocking)
        self._blocking = blocking
        self._open(options)

    def _open(self, options: Options) -> None:
        raise NotImplementedError


class lead(_Waits):
    """As `incumbent.lead`: it waits until elected, and releases at the end of the block.

    When the leadership is lost, the block is cancelled, and its end raises `LeadershipLost`.
    """

    def _open(self, options: Options) -> None:
        self._election = _election.Election(self.name, **options)._native

    @classmethod
    def _of(cls, election: Election, timeout: Duration | None, blocking: bool) -> lead:
        made = cls.__new__(cls)
        _Held.__init__(made)
        made.name, made._election = election.name, election._native
        made._timeout, made._blocking = timeout_of(timeout, blocking), blocking
        return made

    def _win(self) -> _native.Pending:
        return self._election.campaign(self._timeout) if self._blocking else self._election.try_campaign()


class lock(_Waits):
    """A lock by its name, held while the block runs.

    >>> import asyncio, incumbent
    >>> async def main():
    ...     async with incumbent.aio.lock("order:42", store="memory:aio-lock") as lease:
    ...         return lease.fencing_token > 0
    >>> asyncio.run(main())
    True

    When the lock is lost, the block is cancelled, and its end raises `LeadershipLost`. A wait that is too long raises
    `TimedOut`; with ``blocking=False`` or a timeout of 0, a lock that another holds raises `Held`.
    """

    def _open(self, options: Options) -> None:
        self._client = client(options)

    def _win(self) -> _native.Pending:
        client, name = self._client.native(), self.name
        return client.acquire(name, self._timeout) if self._blocking else client.try_acquire(name)

    async def status(self) -> dict[str, Any]:
        """Its holder, as the stores show it now."""
        return _document(await result(self._client.native().status(self.name)))


class rlock(lock):
    """A lock that the task that holds it can enter again.

    >>> import asyncio, incumbent
    >>> async def main():
    ...     lock = incumbent.aio.rlock("order:42", store="memory:aio-rlock")
    ...     async with lock as outer, lock as inner:
    ...         return inner is outer
    >>> asyncio.run(main())
    True
    """

    async def __aenter__(self) -> Leadership:
        mine = self._mine()
        if mine is None:
            return await super().__aenter__()
        mine.held.check()
        self._guards.append(mine)
        return mine.held

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        guard = self._take()
        if guard not in self._guards:
            await guard.leave(error)
        elif error is None:
            guard.held.check()


class Election(_election.Named):
    """As `incumbent.Election`, with coroutines."""

    async def campaign(self, timeout: Duration | None = None) -> Leadership:
        """Waits until elected, for at most `timeout` seconds."""
        return _held(await result(self._native.campaign(timeout_of(timeout))))

    async def try_campaign(self) -> Leadership:
        """Leads only if no one does."""
        return _held(await result(self._native.try_campaign()))

    def lead(self, timeout: Duration | None = None, blocking: bool = True) -> lead:
        """As `incumbent.aio.lead`, for this election."""
        return lead._of(self, timeout, blocking)

    async def status(self) -> dict[str, Any]:
        """The election as its stores show it now."""
        return _document(await result(self._native.status()))

    async def history(self, terms: int = 10) -> dict[str, Any]:
        """Its last terms, newest first."""
        return _document(await result(self._native.history(terms)))

    def events(self) -> AsyncIterator[dict[str, Any]]:
        """What happens to the campaigns of this object from now on."""
        return self._follow(self._native.events())

    async def _follow(self, events: _native.Events) -> AsyncIterator[dict[str, Any]]:
        while (event := await result(events.next())) is not None:
            yield _document(event)


def run_as_leader(
    name: str, *, timeout: Duration | None = None, **options: Unpack[Options]
) -> Callable[[Callable[Concatenate[Leadership, P], Awaitable[R]]], Callable[P, Coroutine[Any, Any, R]]]:
    """As `incumbent.run_as_leader`, for a coroutine function: it is cancelled when the leadership is lost."""

    def decorate(function: Callable[Concatenate[Leadership, P], Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        @functools.wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> R:
            async with lead(name, timeout=timeout, **options) as leadership:
                return await function(leadership, *args, **kwargs)

        return run

    return decorate


def once(
    name: str, *, at_least: Duration, **options: Unpack[Options]
) -> Callable[[Callable[P, Awaitable[R]]], Callable[P, Coroutine[Any, Any, R | None]]]:
    """As `incumbent.once`, for a coroutine function: it is cancelled when the leadership is lost."""

    def decorate(function: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R | None]]:
        @functools.wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> R | None:
            try:
                async with _Once(name, seconds(at_least, "at_least"), options):
                    return await function(*args, **kwargs)
            except _Skipped:
                return None

        return run

    return decorate


class _Skipped(Exception):
    """It ran, or runs, elsewhere."""


class _Once(_Held):
    def __init__(self, name: str, at_least: float, options: Options) -> None:
        super().__init__()
        self._election = _native.Election(name, *arguments(options))
        self._at_least = at_least

    def _win(self) -> _native.Pending:
        return self._election.campaign_once(self._at_least)

    async def __aenter__(self) -> Leadership:
        try:
            return await super().__aenter__()
        except NotYet:
            raise
        except (Paused, TimedOut) as error:
            raise _Skipped from error


class semaphore(_Waits):
    """A seat of a semaphore, held while the block runs: see `incumbent.Semaphore`."""

    def __init__(
        self,
        name: str,
        seats: int = 1,
        *,
        timeout: Duration | None = None,
        blocking: bool = True,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(name, timeout=timeout, blocking=blocking, **options)
        self.seats = whole("seats", seats)

    def _open(self, options: Options) -> None:
        self._client = client(options)

    def _win(self) -> _native.Pending:
        return self._client.native().take_seat(self.name, self.seats, self._blocking, self._timeout)

    async def __aenter__(self) -> Seat:
        return self._keep(Seat(cast(_native.Held, await result(self._win()))))


def _held(held: object) -> Leadership:
    return Leadership(cast(_native.Held, held))


def _document(json_text: object) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(cast(str, json_text)))
