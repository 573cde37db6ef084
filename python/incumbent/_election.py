"""Elections: `lead`, `run_as_leader`, `Election` and the `Leadership` that they give."""

from __future__ import annotations

import functools
import json
import sys
import warnings
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar, cast

from . import _native
from ._blocks import Blocks
from ._options import arguments, timeout_of
from ._waiting import result, wait
from .errors import LeadershipLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from typing_extensions import Concatenate, ParamSpec, Self, Unpack

    from ._options import Duration, Options

    P = ParamSpec("P")
    R = TypeVar("R")


class Lost:
    """The event that is set when the work is asked to stop, with the interface of `threading.Event`."""

    def __init__(self, held: _native.Held) -> None:
        self._held = held

    def is_set(self) -> bool:
        """Whether the work is asked to stop."""
        return self._held.loss() is not None

    def wait(self, timeout: Duration | None = None) -> bool:
        """Waits until the work is asked to stop, and returns whether it is. The timeout is in seconds."""
        return self.is_set() or wait(self._held.lost(), timeout_of(timeout))


class Leadership:
    """A leadership or a lock, kept by heartbeats on a thread of their own that never waits for the GIL.

    It is true for as long as the work may act and should go on:

    >>> import incumbent
    >>> with incumbent.lead("example", store="memory:leadership") as leadership:
    ...     bool(leadership), leadership.lost.is_set(), leadership.remaining > 0
    (True, False, True)
    >>> bool(leadership)
    False
    """

    def __init__(self, held: _native.Held) -> None:
        self._held = held
        #: Set when the work is asked to stop.
        self.lost = Lost(held)
        self._work_ended = False
        self._loss: LeadershipLost | None = None
        held.take_in_hand()

    def __bool__(self) -> bool:
        return self._held.may_act()

    def __del__(self) -> None:
        # At the end of the process, it ends with the process.
        if self._held.is_kept() and not sys.is_finalizing():
            message = f"{self!r} was never released, so this process keeps it until it ends"
            warnings.warn(message, ResourceWarning, stacklevel=2, source=self)

    def __repr__(self) -> str:
        return f"<Leadership token={self.fencing_token} {'held' if self else 'over'}>"

    @property
    def fencing_token(self) -> int:
        """A number that is higher than that of every earlier leader. Pass it to the resource with each write."""
        return self._held.fencing_token

    @property
    def candidate(self) -> str | None:
        """The id that won the election, while it is held. A lock shows none."""
        return self._held.candidate

    @property
    def remaining(self) -> float:
        """How many seconds the work may still act if no further heartbeat succeeds."""
        return self._held.remaining()

    @property
    def reason(self) -> str | None:
        """Why the work was asked to stop, once it was."""
        return self._held.loss()

    def check(self) -> None:
        """Returns if the work may act at this moment, by the clock. It takes less than a microsecond: call it before
        each side effect.

        Raises `LeadershipLost` once the leadership is over.
        """
        self._held.check()

    def stop(self) -> None:
        """Asks the work to stop, from any thread, and keeps the leadership until it has ended.

        Raises `TypeError` for a lock, which has no work of its own to ask: release it.
        """
        self._held.stop()

    def release(self) -> None:
        """Ends the leadership: the work has ended. A standby takes over at once."""
        self._end_work()
        self._release("resigned")

    def _release(self, how: str) -> None:
        if not _native.is_forked():
            result(self._held.release(how))

    def _leave(self, error: BaseException | None = None) -> None:
        """Releases it at the end of a block, which must not end well if the leadership was lost before."""
        try:
            loss = self._end_work()
        finally:
            self._release(how_ended(error))
        if loss is not None and error is None:
            raise loss

    def _end_work(self) -> LeadershipLost | None:
        """The loss of the leadership, if it came before the work ended: with its block, or with a release in it."""
        if not self._work_ended:
            self._work_ended, self._loss = True, self._lost_before()
        return self._loss

    def _lost_before(self) -> LeadershipLost | None:
        try:
            self._held.check()
        except LeadershipLost as lost:
            return lost
        if (reason := self._held.loss()) is None:
            return None
        token = self.fencing_token
        return LeadershipLost(f"the leadership of term {token} is over: {reason}", token, reason)


def how_ended(error: BaseException | None) -> str:
    """How the work ended. Ctrl-C, `sys.exit` and a cancellation ask it to stop: it has not failed."""
    if error is None:
        return "ended"
    return "failed" if isinstance(error, Exception) else "resigned"


class Named:
    """An election by its name: what threads and asyncio have in common."""

    def __init__(self, name: str, **options: Unpack[Options]) -> None:
        self.name = name
        self._native = _native.Election(name, *arguments(options))

    def __repr__(self) -> str:
        return f"<Election {self.name!r}>"

    @property
    def is_leader(self) -> bool:
        """Whether this process leads at this moment."""
        return self._native.is_leader()

    @property
    def window(self) -> float:
        """How many seconds a leader must be silent before anyone may take over."""
        return self._native.window


class Election(Named):
    """An election by its name, to campaign in and to look at.

    >>> import incumbent
    >>> election = incumbent.Election("example", store="memory:election")
    >>> with election.lead() as leadership:
    ...     election.status()["term"] == leadership.fencing_token
    True
    >>> election.history(1)["terms"][0]["term"] == leadership.fencing_token
    True
    """

    def campaign(self, timeout: Duration | None = None) -> Leadership:
        """Waits until elected, for at most `timeout` seconds. Call `release` on what it returns.

        Raises `TimedOut`, `Paused`, `Unreachable`, `Denied` or `ConfigError`.
        """
        return _elected(self._native.campaign(timeout_of(timeout)))

    def try_campaign(self) -> Leadership:
        """Leads only if no one does: it raises `Held` as soon as it is clear that another candidate leads."""
        return _elected(self._native.try_campaign())

    def lead(self, timeout: Duration | None = None, blocking: bool = True) -> lead:
        """As `incumbent.lead`, for this election."""
        return lead._of(self, timeout, blocking)

    def status(self) -> dict[str, Any]:
        """The election as its stores show it now: what ``incumbent status NAME -o json`` prints, without seats."""
        return document(self._native.status())

    def history(self, terms: int = 10) -> dict[str, Any]:
        """Its last terms, newest first: what ``incumbent history NAME -o json`` prints."""
        return document(self._native.history(terms))

    def events(self) -> Iterator[dict[str, Any]]:
        """What happens to the campaigns of this object from now on, one by one; it waits for the next.

        >>> import incumbent
        >>> election = incumbent.Election("example", store="memory:events")
        >>> events = election.events()
        >>> election.campaign().release()
        >>> [next(events)["event"] for _ in range(2)]
        ['campaigning', 'claiming']
        """
        return self._follow(self._native.events())

    def _follow(self, events: _native.Events) -> Iterator[dict[str, Any]]:
        # It refers to the election, without which there would be no further event.
        while (event := result(events.next())) is not None:
            yield json.loads(cast(str, event))


class lead:
    """Leads while the block runs: it waits until elected, and releases at the end.

    >>> import incumbent
    >>> with incumbent.lead("billing", store="memory:lead") as leadership:
    ...     while leadership:
    ...         leadership.check()     # before each side effect
    ...         break

    `timeout` bounds the wait, and with ``blocking=False`` it raises `Held` if another candidate leads. If the
    leadership was lost, or asked to stop, before the block ended, its end raises `LeadershipLost`.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout: Duration | None = None,
        blocking: bool = True,
        **options: Unpack[Options],
    ) -> None:
        self._set(Election(name, **options), timeout, blocking)

    @classmethod
    def _of(cls, election: Election, timeout: Duration | None, blocking: bool) -> Self:
        made = cls.__new__(cls)
        made._set(election, timeout, blocking)
        return made

    def _set(self, election: Election, timeout: Duration | None, blocking: bool) -> None:
        self._election = election
        self._timeout = timeout_of(timeout, blocking)
        self._blocking = blocking
        # Each thread ends what it began, even when another one has taken over meanwhile.
        self._led: Blocks[Leadership] = Blocks()

    def __enter__(self) -> Leadership:
        election = self._election
        led = election.campaign(self._timeout) if self._blocking else election.try_campaign()
        self._led.add(led)
        return led

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        led = self._led.take(of_another=True)
        if led is None:
            raise RuntimeError(
                f"which block that leads {self._election.name!r} ends here is unknown, so none is released: one that "
                "may end in another thread needs its own object"
            )
        led._leave(error)


def run_as_leader(
    name: str, *, timeout: Duration | None = None, **options: Unpack[Options]
) -> Callable[[Callable[Concatenate[Leadership, P], R]], Callable[P, R]]:
    """Makes a function run only while leading. Whoever calls it waits until elected; it gets the leadership first.

    >>> import incumbent
    >>> @incumbent.run_as_leader("billing", store="memory:run")
    ... def bill(leadership, customer):
    ...     return f"{customer} was billed", leadership.fencing_token > 0
    >>> bill("Ada")
    ('Ada was billed', True)

    A coroutine function is cancelled when the leadership is lost.
    """

    def decorate(function: Callable[Concatenate[Leadership, P], R]) -> Callable[P, R]:
        if iscoroutinefunction(function):
            from . import aio

            return cast("Callable[P, R]", aio.run_as_leader(name, timeout=timeout, **options)(function))

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            with lead(name, timeout=timeout, **options) as leadership:
                return function(leadership, *args, **kwargs)

        return run

    return decorate


def _elected(campaign: _native.Pending) -> Leadership:
    return Leadership(cast(_native.Held, result(campaign)))


def document(pending: _native.Pending) -> dict[str, Any]:
    """Waits for a document."""
    return cast("dict[str, Any]", json.loads(cast(str, result(pending))))
