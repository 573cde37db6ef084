"""The options that every election and every lock takes, declared once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Union, cast

from . import _native
from .errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    #: Seconds, a text such as ``"1m 30s"``, or a timedelta.
    Duration = Union[float, str, timedelta]


class Options(TypedDict, total=False):
    """How an election is configured. Each is an option of the command too, and means the same there."""

    #: The address of the store, or of three or five independent ones. Default: ``INCUMBENT_STORE``.
    store: str | Sequence[str]
    #: The prefix of all keys on a Redis.
    key_prefix: str
    #: The user name, for stores whose address has none.
    username: str
    #: The password, for stores whose address has none.
    password: str
    #: Within how long a dead host is replaced. The timing below follows from it.
    failover: Duration
    #: The time between two heartbeats.
    interval: Duration
    #: How many polls a counter must stall before a standby takes over.
    stall_polls: int
    #: How long before the end of its tenure the work is asked to stop.
    stop_grace: Duration
    #: How long one request to a store may take.
    op_timeout: Duration
    #: How long to wait before acting on a store that may have lost data.
    probation: Duration
    #: The first part of the ids of this program's candidacies. Default: host and process id.
    label: str
    #: What happens when the work goes on past its deadline: it is reported, or this process is killed.
    on_overrun: Literal["report", "kill"]


#: The options that are durations, those of `incumbent run` among them.
DURATIONS = frozenset(
    "failover interval stop_grace op_timeout probation stop_timeout health_interval health_timeout health_start_period "
    "watchdog sit_out wait_timeout".split()
)


def seconds(duration: Duration, name: str) -> float:
    """The duration `name` in seconds.

    >>> seconds("1m 30s", "wait"), seconds("2hours", "wait"), seconds(2, "wait")
    (90.0, 7200.0, 2.0)
    """
    found: object = duration
    if isinstance(duration, str):
        found = _native.seconds(duration)
    elif hasattr(duration, "total_seconds"):
        found = duration.total_seconds()
    if not isinstance(found, (int, float)):
        raise ConfigError(f'{name} is no duration: {duration!r}; write it as in 55, "55s" or "1m 30s"')
    if not found >= 0:
        raise ConfigError(f"{name} must not be negative, and is {duration!r}")
    return float(found)


def whole(name: str, number: int) -> int:
    """The number `name`, which counts something."""
    if not isinstance(number, int) or not 0 <= number < 1 << 16:
        raise ConfigError(f"{name} must be a whole number from 0 to 65535, and is {number!r}")
    return number


def table(options: object, name: str) -> Options:
    """A copy of the options that a setting has."""
    if options is not None and not isinstance(options, dict):
        raise ConfigError(f'{name} must be a dict of options, such as {{"store": "redis://db"}}')
    return cast("Options", dict(options or {}))


def timeout_of(timeout: Duration | None, blocking: bool = True) -> float | None:
    """How long to wait, in seconds; `None` is without end. A call that does not block has no timeout."""
    if timeout is None:
        return None
    wait = seconds(timeout, "timeout")
    if wait == float("inf"):
        return None
    if not blocking:
        raise ConfigError("a call that does not block has no timeout")
    return wait


def arguments(options: Options) -> tuple[list[str], dict[str, Any]]:
    """The stores and the options, as the native half takes them."""
    keywords: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    store = keywords.pop("store", None) or os.environ.get("INCUMBENT_STORE", "").split()
    stores = [store] if isinstance(store, str) else list(store)
    if not stores:
        raise ConfigError('no store is given: say store="redis://HOST", or set INCUMBENT_STORE')
    for name in DURATIONS & keywords.keys():
        keywords[name] = seconds(keywords[name], name)
    if "stall_polls" in keywords:
        whole("stall_polls", keywords["stall_polls"])
    overrun = keywords.get("on_overrun", "report")
    if overrun not in ("report", "kill"):
        raise ConfigError(f'on_overrun is {overrun!r}: it must be "report" or "kill"')
    return stores, keywords
