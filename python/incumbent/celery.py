"""Celery: tasks that are queued or run once at a time, and a beat of which exactly one runs.

::

    import incumbent.celery

    app.conf.incumbent = {"store": "redis://db"}        # the options of incumbent.Lock

    @app.task(base=incumbent.celery.Once, once={"keys": ["customer"]})
    def bill(customer, by): ...

    celery -A shop beat -S incumbent.celery:Scheduler   # on as many hosts as you like
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from datetime import timezone
from inspect import signature
from time import time
from typing import TYPE_CHECKING, Any, cast

import celery
import redis
from celery import states
from celery.beat import PersistentScheduler
from celery.exceptions import Reject
from celery.result import EagerResult
from celery.utils.log import get_logger
from kombu.utils.json import JSONEncoder

from ._addresses import for_redis_py
from ._election import Election, Leadership
from ._lock import Lock
from ._options import arguments, seconds, table
from ._takeover import Campaign, led_until
from .errors import ConfigError, Error, LeadershipLost, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._options import Options

__all__ = ["AlreadyQueued", "Once", "Scheduler"]

_log = get_logger(__name__)
# KEYS: the mark. ARGV: the id of the task that may remove it.
_UNMARK = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"


class AlreadyQueued(Exception):
    """The task is queued or running already. `countdown` is the seconds until it may be queued even if it never runs, or
    if the worker that runs it has died.
    """

    def __init__(self, countdown: float, running: bool = False) -> None:
        super().__init__(countdown, running)
        self.countdown = countdown
        self.running = running

    def __str__(self) -> str:
        if self.running:
            return f"running already; if its worker has died, it can be queued in at most {self.countdown} seconds"
        return f"queued already; it can be queued again in {self.countdown} seconds, even if it has not run"


class Once(celery.Task):  # type: ignore[misc]
    """A task that is not queued again while one with the same arguments is queued or runs, as celery_once has it.

    `once` has the options ``keys``, the arguments that make two calls the same (default: all); ``graceful``, to
    return a rejected result instead of raising `AlreadyQueued`; ``timeout``, after how long a task that is still queued
    may be queued again (default: an hour); and ``unlock_before_run``, to allow it once it runs.

    While it runs, a lock is held by the process that runs it. It ends with the task, and when the worker dies. A worker
    that is frozen loses it: then ``self.leadership.check()`` raises `LeadershipLost`. Call it before each side effect
    (``bind=True`` gives you `self`).
    """

    abstract = True
    once: dict[str, Any] = {}

    @property
    def leadership(self) -> Leadership:
        """What the run of this task holds.

        Raises `LeadershipLost` where it holds nothing: a direct call, and a run with ``unlock_before_run``.
        """
        held = getattr(self.request, "leadership", None)
        if held is None:
            raise LeadershipLost(f"this run of {self.name} holds no lock", 0, "not held")
        return cast(Leadership, held)

    def apply_async(
        self, args: Any = None, kwargs: Any = None, task_id: str | None = None, **options: Any
    ) -> Any:
        """Queues the task, unless it is queued or runs."""
        once = {**self.once, **(options.pop("once", None) or {})}
        key, task_id = self.get_key(args, kwargs), task_id or celery.utils.uuid()
        lifetime = seconds(once.get("timeout", 3600), "timeout") + self._delay(options)
        # A retry is queued by the run that holds the lock.
        retried = bool(options.get("retries"))
        marks = self._marks()
        marked = marks.set(key, task_id, lifetime, again=retried)
        try:
            if not marked:
                raise AlreadyQueued(marks.left(key))
            if not retried:
                self._refuse_while_running(key)
            return super().apply_async(args, kwargs, task_id=task_id, **options)
        except BaseException as error:
            if marked:
                marks.remove(key, task_id)
            if isinstance(error, AlreadyQueued) and once.get("graceful"):
                return EagerResult(None, None, states.REJECTED)
            raise

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.request.called_directly:
            return super().__call__(*args, **kwargs)
        key, task_id = self.get_key(args, kwargs), self.request.id
        if self.once.get("unlock_before_run"):
            self._marks().remove(key, task_id)
            # Celery's own `__call__` begins a request: for a direct call.
            return self.run(*args, **kwargs)
        try:
            lock = Lock(key, **self._options())
            # Longer than a worker that died keeps it: a holder that is still there then is running.
            window = Election(key, **self._options()).window
            acquired = lock.acquire(timeout=2 * window)
        except Exception:
            # It fails, so it is queued no longer.
            with suppress(Error):
                self._marks().remove(key, task_id)
            raise
        if not acquired:
            _log.warning("%s is running already: this one is dropped", key)
            self._marks().remove(key, task_id)
            raise Reject(f"{key} is running already", requeue=False)
        with _Released(lock):
            self._marks().remove(key, task_id)
            self.request.leadership = lock.held
            return self.run(*args, **kwargs)

    def get_key(self, args: Any = None, kwargs: Any = None) -> str:
        """The name of the lock, and the key of the mark that it is queued."""
        run: Any = getattr(self, "_orig_run", self.run)
        bound = signature(run).bind(*(args or ()), **(kwargs or {}))
        bound.apply_defaults()
        wanted = self.once.get("keys")
        if unknown := set(wanted or ()) - bound.arguments.keys():
            names = ", ".join(bound.arguments)
            raise ConfigError(f"keys of {self.name} names {min(unknown)!r}, but its arguments are {names}")
        chosen = {name: value for name, value in bound.arguments.items() if wanted is None or name in wanted}
        # The worker sees what the broker made of the arguments, so a key consists of what JSON keeps of them.
        sent = json.loads(json.dumps(chosen, cls=_Encoder))
        digest = hashlib.sha256(json.dumps(sent, sort_keys=True).encode()).hexdigest()
        return f"once:{self.name[:64]}:{digest[:32]}"

    def _options(self) -> Options:
        return _options(self.app)

    def _marks(self) -> _Marks:
        stores, options = arguments(self._options())
        return _Marks(stores, options)

    def _delay(self, options: dict[str, Any]) -> float:
        """How many seconds from now a worker may begin it."""
        if (eta := options.get("eta")) is None:
            return float(options.get("countdown") or 0)
        # As workers read one without a zone.
        zone = timezone.utc if self.app.conf.enable_utc else self.app.timezone
        begins: float = (eta if eta.tzinfo else eta.replace(tzinfo=zone)).timestamp()
        return max(0.0, begins - time())

    def _refuse_while_running(self, key: str) -> None:
        lock = Lock(key, **self._options())
        status = lock.status()
        if status["state"] == "held" and not status["stalled"]:
            raise AlreadyQueued((status["tenure_left_ms"] or 0) / 1000, running=True)
        if status["state"] in ("unreachable", "forbidden", "misconfigured", "garbled"):
            raise Unreachable(f"it cannot be known whether {key} is running: the stores are {status['state']}")


class _Marks:
    """The marks of queued tasks, on a majority of the stores."""

    def __init__(self, stores: list[str], options: dict[str, Any]) -> None:
        log_in = {name: options[name] for name in ("username", "password") if name in options}
        timeout = options.get("op_timeout", 5)
        self._stores = [
            redis.Redis.from_url(for_redis_py(store), socket_timeout=timeout, **log_in) for store in stores
        ]

    def set(self, key: str, task_id: str, lifetime: float, again: bool) -> bool:
        """Marks a task that is not marked, or marks it again."""
        answers = self._ask(lambda store: store.set(key, task_id, nx=not again, px=max(1, int(lifetime * 1000))))
        won = [store for store, marked in answers.items() if marked]
        if 2 * len(won) > len(self._stores):
            return True
        for store in won:
            with suppress(redis.RedisError):
                store.eval(_UNMARK, 1, key, task_id)
        return False

    def left(self, key: str) -> float:
        """How many seconds it stays marked, unless it is removed."""
        return float(max(0, *self._ask(lambda store: store.pttl(key)).values())) / 1000

    def remove(self, key: str, task_id: str | None) -> None:
        """Removes the mark, if it is that of this task."""
        self._ask(lambda store: store.eval(_UNMARK, 1, key, task_id or ""))

    def _ask(self, request: Callable[[Any], Any]) -> dict[Any, Any]:
        answers: dict[Any, Any] = {}
        last = None
        for store in self._stores:
            try:
                answers[store] = request(store)
            except redis.RedisError as error:
                last = error
        if 2 * len(answers) <= len(self._stores):
            raise Unreachable(f"no majority of the stores can mark queued tasks: {last}") from last
        return answers


class _Encoder(JSONEncoder):
    """As Celery encodes arguments; what only other serializers can send, by its `repr`."""

    def default(self, o: Any) -> Any:
        try:
            return super().default(o)  # type: ignore[no-untyped-call]
        except TypeError:
            return repr(o)


def _options(app: Any) -> Options:
    return table(app.conf.get("incumbent"), "app.conf.incumbent")


class _Released:
    """Releases a lock. That it was lost is the task's error only if the task has no other."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            self._lock.release()
        except LeadershipLost:
            if error is None:
                raise


class Scheduler(PersistentScheduler):  # type: ignore[misc]
    """A beat of which exactly one runs: it sends nothing unless it leads, and the others stand by.

    The election is ``celery-beat``, or what ``app.conf.incumbent_beat`` says. A new leader sends what came due since
    the last one led, so a change of leader loses no run; after a crash, what the last leader sent between its last
    heartbeat and its death is sent twice.
    """

    #: For how many seconds it stands by before it looks after its service again.
    _TURN = 0.5

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._leadership: Leadership | None = None
        super().__init__(*args, **kwargs)
        self._election = Election(self.app.conf.get("incumbent_beat") or "celery-beat", **_options(self.app))
        self._campaign = Campaign(self._election)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Sends what is due, if this process leads."""
        if not self._leads():
            return 0.0
        due_in = super().tick(*args, **kwargs)
        leadership = self._leadership
        if leadership is not None and due_in > 0:
            leadership.lost.wait(min(due_in, self._TURN))
        return 0.0

    def apply_async(self, entry: Any, *args: Any, **kwargs: Any) -> Any:
        """Sends one task, unless another process may lead by now."""
        if self._leadership is None:
            raise RuntimeError("this beat does not lead")
        self._leadership.check()
        return super().apply_async(entry, *args, **kwargs)

    def close(self) -> None:
        """Leaves the election: another beat takes over at once."""
        super().close()
        self._leave()

    def _leads(self) -> bool:
        if self._leadership is not None and not self._leadership:
            _log.warning("beat: lost leadership: %s; standing by", self._leadership.reason)
            self._leave()
        if self._leadership is None:
            self._stand_by()
        return self._leadership is not None

    def _stand_by(self) -> None:
        self._leadership = self._campaign.wait(self._TURN)
        if self._leadership is None:
            return
        _log.info("beat: elected leader, token %s", self._leadership.fencing_token)
        self._catch_up()

    def _catch_up(self) -> None:
        """Counts what the last leader sent as sent."""
        until = led_until(self._election)
        if until is None:
            return
        for entry in self.schedule.values():
            if entry.last_run_at is None or entry.last_run_at < until:
                entry.last_run_at = until.astimezone(entry.default_now().tzinfo)
        self._heap = None

    def _leave(self) -> None:
        self._campaign.leave()
        leadership, self._leadership = self._leadership, None
        if leadership is not None:
            leadership.release()
