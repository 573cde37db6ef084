"""Standing by between other things, and what a new leader has to catch up with."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, cast

from . import _native
from ._election import Leadership
from ._waiting import result, wait

if TYPE_CHECKING:
    from ._election import Election


#: How many terms it looks back for a leader.
_TERMS = 20


class Campaign:
    """One campaign that goes on while no one waits for it. A short one would never see a dead leader replaced."""

    def __init__(self, election: Election) -> None:
        self._election = election
        self._pending: _native.Pending | None = None

    def wait(self, timeout: float) -> Leadership | None:
        """Waits for this many seconds, and returns the leadership once it is won."""
        if self._pending is None:
            self._pending = self._election._native.campaign()
        if not wait(self._pending, timeout):
            return None
        pending, self._pending = self._pending, None
        return Leadership(cast(_native.Held, result(pending)))

    def leave(self) -> None:
        """Gives up."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.cancel()


def led_until(election: Election) -> datetime | None:
    """Until when the leader before this one led, for the leader of now: its release, or else its last heartbeat.

    `None` if there was none. What a leader did between its last heartbeat and its death is not known: it may come
    due again.
    """
    now = datetime.now(timezone.utc)
    earlier = election.history(_TERMS)["terms"][1:]
    # A claim that was abandoned is a term too, in which no one led.
    before = next((term for term in earlier if term["reason"] != "withdrawn"), None)
    if before is None or before["gap_ms"] is None:
        return None
    elected = election.status()["held_for_ms"] or 0
    return now - timedelta(milliseconds=elected + before["gap_ms"])
