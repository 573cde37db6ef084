"""`once`: one run per tick over all hosts."""

from __future__ import annotations

import functools
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, overload

from . import _native
from ._election import Leadership
from ._options import arguments, seconds
from ._waiting import result
from .errors import NotYet, Paused, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from typing_extensions import ParamSpec, Unpack

    from ._options import Duration, Options

    P = ParamSpec("P")
    R = TypeVar("R")


class Once(Protocol):
    """What `once` returns: it makes a function or a coroutine function run once per tick."""

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, R]]
    ) -> Callable[P, Coroutine[Any, Any, R | None]]: ...
    @overload
    def __call__(self, function: Callable[P, R]) -> Callable[P, R | None]: ...


def once(name: str, *, at_least: Duration, **options: Unpack[Options]) -> Once:
    """Makes a function run once per tick, however many hosts call it; where it is skipped, the call returns `None`.

    `at_least` is how long after one call no other may run: less than the time from one tick to the next, and more
    than the clocks of the hosts differ by, such as ``"55s"`` for a job that every host starts each minute.

    >>> import incumbent
    >>> @incumbent.once("report", at_least="55s", store="memory:once")
    ... def report():
    ...     return "reported"
    >>> report(), report()
    ('reported', None)

    A run that takes longer than a tick is not joined by another one. A run that crashed has run. Raises `Unreachable`
    if it is unknown whether it may run, `NotYet` if no host could run it in time, and `LeadershipLost` if the
    leadership was lost before the function returned.
    """

    wait = seconds(at_least, "at_least")

    def decorate(function: Callable[P, Any]) -> Callable[P, Any]:
        if iscoroutinefunction(function):
            from . import aio

            return aio.once(name, at_least=wait, **options)(function)

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> Any:
            election = _native.Election(name, *arguments(options))
            try:
                held = result(election.campaign_once(wait))
            except NotYet:
                raise
            except (Paused, TimedOut):
                return None
            leadership = Leadership(cast(_native.Held, held))
            try:
                value = function(*args, **kwargs)
            except BaseException as error:
                leadership._leave(error)
                raise
            leadership._leave()
            return value

        return run

    return cast(Once, decorate)
