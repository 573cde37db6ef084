"""What the threads of this process hold through one object.

A block mostly ends in the thread that began it. That of a generator may not: a web framework resumes it in another
thread of its pool.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Generic, TypeVar

H = TypeVar("H")


class Blocks(Generic[H]):
    """What is held, with the thread that took it. There is no lock here: a forked child could wait for it forever."""

    def __init__(self) -> None:
        self._held: list[tuple[int, H]] = []

    def add(self, held: H) -> None:
        """Adds what this thread took."""
        self._held.append((threading.get_ident(), held))

    def take(self, of_another: bool = False) -> H | None:
        """Removes and returns what this thread took last or, if that is nothing, the only thing that another took."""
        me = threading.get_ident()
        while held := list(self._held):
            mine = [one for one in held if one[0] == me]
            if not mine and not (of_another and len(held) == 1):
                return None
            taken = (mine or held)[-1]
            # Another thread may have been faster.
            with suppress(ValueError):
                self._held.remove(taken)
                return taken[1]
        return None
