"""The options that every election and every lock takes, declared once."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Union

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


_DURATIONS = ("failover", "interval", "stop_grace", "op_timeout", "probation")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def seconds(duration: Duration) -> float:
    """A duration in seconds.

    >>> seconds("1m 30s"), seconds("55s"), seconds(2)
    (90.0, 55.0, 2.0)
    """
    if isinstance(duration, (int, float)):
        return float(duration)
    if not isinstance(duration, str):
        return duration.total_seconds()
    total, end = 0.0, 0
    while end < len(duration):
        part = _PART.match(duration, end)
        if part is None or part[2] not in _UNITS:
            raise ConfigError(f"{duration!r} is no duration: write it as in \"55s\" or \"1m 30s\"")
        total, end = total + float(part[1]) * _UNITS[part[2]], part.end()
    if end == 0:
        raise ConfigError("a duration is empty: write it as in \"55s\" or \"1m 30s\"")
    return total


def timeout_of(timeout: Duration | None, blocking: bool = True) -> float | None:
    """How long to wait, in seconds; `None` is without end. A call that does not block has no timeout."""
    if timeout is None:
        return None
    wait = seconds(timeout)
    if wait != wait or wait < 0:
        raise ValueError(f"a timeout must not be negative, and this one is {timeout!r}")
    if wait == float("inf"):
        return None
    if not blocking:
        raise ValueError("a call that does not block has no timeout")
    return wait


def arguments(options: Options) -> tuple[list[str], dict[str, Any]]:
    """The stores and the options, as the native half takes them."""
    keywords: dict[str, Any] = dict(options)
    store = keywords.pop("store", None) or os.environ.get("INCUMBENT_STORE", "").split()
    stores = [store] if isinstance(store, str) else list(store)
    if not stores:
        raise ConfigError('no store is given: say store="redis://HOST", or set INCUMBENT_STORE')
    for name in _DURATIONS:
        if keywords.get(name) is not None:
            keywords[name] = seconds(keywords[name])
    overrun = keywords.pop("on_overrun", "report")
    if overrun not in ("report", "kill"):
        raise ConfigError(f'on_overrun is {overrun!r}: it must be "report" or "kill"')
    return stores, {**keywords, "kill": overrun == "kill"}
