"""How a thread waits for the native half, and how greenlets do."""

from __future__ import annotations

import select
import sys
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._native import Pending


def wait(pending: Pending, timeout: float | None = None) -> bool:
    """Waits until it has ended, for at most `timeout` seconds, and returns whether it has.

    Under gevent or eventlet, which replace `select`, only the greenlet waits.
    """
    if sys.modules.get("gevent") is None and sys.modules.get("eventlet") is None:
        return pending.wait(timeout)
    if getattr(select.select, "__module__", None) == "select":
        return pending.wait(timeout)
    until = None if timeout is None else monotonic() + timeout
    while not pending.ready():
        left = None if until is None else until - monotonic()
        if left is not None and left <= 0:
            return False
        select.select([pending.fileno()], [], [], left)
    return True


def result(pending: Pending) -> object:
    """Waits for its result. What interrupts the wait, such as Ctrl-C, ends what was waited for."""
    try:
        wait(pending)
    except BaseException:
        pending.cancel()
        raise
    return pending.result()
