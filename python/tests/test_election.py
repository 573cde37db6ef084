"""Elections: won, waited for, lost, and released."""

from __future__ import annotations

import gc
import os
import signal
import textwrap
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import FAST, Child, Server, wait_until

import incumbent

LEAD = """
    import sys, incumbent
    with incumbent.lead(sys.argv[1], store=sys.argv[2], interval=0.5, stop_grace=0.2) as leadership:
        print("leads", leadership.fencing_token)
        sys.stdin.readline()
        print("acts" if leadership else "stops")
        leadership.check()
    print("ended")
"""


def test_one_leads_and_the_other_takes_over_with_a_higher_token(
    name: str, store: str, child: Callable[..., Child]
) -> None:
    first = child(LEAD, name, store)
    token = int(first.line().removeprefix("leads "))
    with pytest.raises(incumbent.Held, match="is held by"):
        incumbent.Election(name, store=store, **FAST).try_campaign()
    second = child(LEAD, name, store)
    first.go_on()
    first.expect("acts")
    assert int(second.line().removeprefix("leads ")) > token


def test_a_wait_that_is_too_short_ends(name: str, store: str) -> None:
    election = incumbent.Election(name, store=store, **FAST)
    with election.lead():
        with pytest.raises(incumbent.TimedOut):
            election.campaign(timeout=0.2)
        with pytest.raises(TimeoutError):
            with incumbent.lead(name, store=store, timeout="50ms", **FAST):
                pass


def test_a_killed_leader_is_followed(name: str, store: str, child: Callable[..., Child]) -> None:
    first = child(LEAD, name, store)
    first.expect("leads")
    first.signal(signal.SIGKILL)
    with incumbent.lead(name, store=store, **FAST) as leadership:
        assert leadership


def test_a_frozen_leader_is_refused_when_it_goes_on(
    name: str, store: str, child: Callable[..., Child]
) -> None:
    frozen = child(LEAD, name, store)
    token = int(frozen.line().removeprefix("leads "))
    frozen.signal(signal.SIGSTOP)
    with incumbent.lead(name, store=store, **FAST) as leadership:
        assert leadership.fencing_token > token
        frozen.signal(signal.SIGCONT)
        frozen.go_on()
        frozen.expect("stops")
        frozen.expect("LeadershipLost")


def test_a_lost_leadership_is_refused_everywhere(name: str, server: Server) -> None:
    with pytest.raises(incumbent.LeadershipLost) as caught:
        with incumbent.lead(name, store=server.url, **FAST) as leadership:
            server.freeze()
            assert leadership.lost.wait(60)
            assert not leadership and leadership.lost.is_set()
            wait_until(lambda: leadership.remaining == 0)
            with pytest.raises(incumbent.LeadershipLost, match="no majority"):
                leadership.check()
            server.thaw()
    assert caught.value.fencing_token == leadership.fencing_token
    assert caught.value.reason == leadership.reason


def test_an_error_in_the_block_is_what_the_caller_sees(name: str, store: str) -> None:
    election = incumbent.Election(name, store=store, **FAST)
    with pytest.raises(ZeroDivisionError):
        with election.lead():
            1 / 0
    wait_until(lambda: election.status()["state"] != "held")


def test_the_work_is_asked_to_stop(name: str, store: str) -> None:
    with pytest.raises(incumbent.LeadershipLost, match="resigned"):
        with incumbent.lead(name, store=store, **FAST) as leadership:
            threading.Timer(0.01, leadership.stop).start()
            while leadership:
                leadership.lost.wait(0.01)
            leadership.check()


@pytest.mark.parametrize(
    "error, reason", [(SystemExit, "resigned"), (KeyboardInterrupt, "resigned"), (OSError, "panicked")]
)
def test_the_history_shows_whether_the_work_failed(
    error: type[BaseException], reason: str, name: str, store: str
) -> None:
    election = incumbent.Election(name, store=store, **FAST)
    with pytest.raises(error), election.lead():
        raise error
    assert election.history(1)["terms"][0]["reason"] == reason


def test_a_release_ends_its_block_quietly(name: str, store: str) -> None:
    election = incumbent.Election(name, store=store, **FAST)
    with election.lead() as leadership:
        leadership.release()
        assert not leadership
        election.try_campaign().release()


def test_a_loss_before_a_release_is_raised_at_the_end(name: str, store: str) -> None:
    with pytest.raises(incumbent.LeadershipLost):
        with incumbent.lead(name, store=store, **FAST) as leadership:
            leadership.stop()
            assert leadership.lost.wait(60)
            leadership.release()


def test_overrun_kills_only_if_that_was_asked_for(
    name: str, server: Server, child: Callable[..., Child]
) -> None:
    code = """
        import sys, time, incumbent
        with incumbent.lead(sys.argv[1], store=sys.argv[2], interval=0.5, stop_grace=0.2, on_overrun=sys.argv[3]):
            print("leads")
            sys.stdin.readline()
    """
    killed = child(code, name, server.url, "kill")
    reported = child(code, f"{name}-2", server.url, "report")
    killed.expect("leads")
    reported.expect("leads")
    server.freeze()
    assert killed.process.wait(60) == -signal.SIGKILL
    server.thaw()
    reported.go_on()
    reported.expect("LeadershipLost")


def test_ctrl_c_interrupts_a_wait(name: str, store: str, child: Callable[..., Child]) -> None:
    with incumbent.lead(name, store=store, **FAST):
        code = """
            import signal, sys, incumbent
            # A shell makes what it runs in the background ignore it.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            print("waits")
            incumbent.Election(sys.argv[1], store=sys.argv[2], interval=0.5, stop_grace=0.2).campaign()
        """
        waiting = child(code, name, store)
        waiting.expect("waits")
        waiting.signal(signal.SIGINT)
        waiting.expect("KeyboardInterrupt")


def test_a_thread_that_keeps_the_gil_delays_no_heartbeat(name: str, store: str) -> None:
    import ctypes

    with incumbent.lead(name, store=store, **FAST) as leadership:
        # More than two windows long, no other thread of Python runs.
        ctypes.PyDLL(None).usleep(6_000_000)
        leadership.check()


def test_a_forked_child_holds_nothing_and_says_so(
    name: str, store: str, child: Callable[..., Child]
) -> None:
    code = """
        import os, sys, incumbent
        options = {"store": sys.argv[2], "interval": 0.5, "stop_grace": 0.2}
        with incumbent.lead(sys.argv[1], **options) as leadership:
            pid = os.fork()
            if pid == 0:
                print("child holds", bool(leadership), leadership.remaining)
                print("child sees", leadership.lost.is_set(), leadership.lost.wait(0), leadership.reason)
                try:
                    leadership.check()
                except incumbent.LeadershipLost as error:
                    print("child:", error)
                try:
                    incumbent.Election("another", **options).campaign()
                except incumbent.Forked as error:
                    print("child:", error)
                sys.exit()
            os.waitpid(pid, 0)
            leadership.check()
            print("parent holds", bool(leadership))
    """
    forking = child(code, name, store)
    forking.expect("child holds False 0.0")
    forking.expect("child sees True True this process was forked")
    forking.expect("forked from the holder")
    forking.expect("cannot campaign")
    forking.expect("parent holds True")


def test_a_child_may_lead_if_its_parent_has_not_begun(
    name: str, store: str, child: Callable[..., Child]
) -> None:
    code = """
        import os, sys, incumbent
        election = incumbent.Election(sys.argv[1], store=sys.argv[2], interval=0.5, stop_grace=0.2)
        pid = os.fork()
        if pid == 0:
            with election.lead() as leadership:
                print("child leads", bool(leadership))
            sys.exit()
        os.waitpid(pid, 0)
    """
    child(code, name, store).expect("child leads True")


def test_a_second_interpreter_is_refused_with_a_reason(child: Callable[..., Child]) -> None:
    code = """
        import _xxsubinterpreters as interpreters
        import incumbent
        other = interpreters.create()
        try:
            interpreters.run_string(other, "import incumbent")
        except Exception as error:
            print(error)
    """
    child(code).expect("does not support a second interpreter")


GREENLETS = {
    "gevent": "from gevent import monkey; monkey.patch_all(); import gevent as green; wait = green.Greenlet.get",
    "eventlet": "import eventlet as green; green.monkey_patch(); wait = lambda greenlet: greenlet.wait()",
}


@pytest.mark.parametrize("package", GREENLETS)
def test_only_the_greenlet_waits(package: str, name: str, store: str, child: Callable[..., Child]) -> None:
    code = f"{GREENLETS[package]}\n" + textwrap.dedent("""
        import sys, incumbent
        election = incumbent.Election(sys.argv[1], store=sys.argv[2], interval=0.5, stop_grace=0.2)
        leadership = election.campaign()
        led = []
        waiting = green.spawn(lambda: led.append(election.campaign()))
        for _ in range(10):
            green.sleep(0.01)
        print("the others ran", not led)
        leadership.release()
        wait(waiting)
        led[0].check()
        print("then it led")
    """)
    waiting = child(code, name, store)
    waiting.expect("the others ran True")
    waiting.expect("then it led")


def test_a_function_runs_only_while_leading(name: str, store: str) -> None:
    @incumbent.run_as_leader(name, store=store, **FAST)
    def work(leadership: incumbent.Leadership, what: str) -> str:
        leadership.check()
        return what

    assert work("done") == "done"


def test_status_history_and_events_show_it(name: str, store: str) -> None:
    election = incumbent.Election(name, store=store, label="me", **FAST)
    events = election.events()
    with election.lead() as leadership:
        status = election.status()
        assert status["state"] == "held" and status["term"] == leadership.fencing_token
        assert status["holder"]["pid"] == os.getpid()
        assert leadership.candidate.startswith("me:")
    seen = {}
    while "released" not in seen:
        event = next(events)
        seen[event["event"]] = event
    assert seen["elected"]["term"] == leadership.fencing_token
    ended = election.history(1)["terms"][0]
    assert ended["term"] == leadership.fencing_token


def test_events_keep_their_election_and_end_with_it(name: str) -> None:
    election = incumbent.Election(name, store=f"memory:{name}")
    events, alive = election.events(), weakref.ref(election)
    del election
    gc.collect()
    kept = alive()
    assert kept is not None
    del kept._native
    assert list(events) == []


def test_a_block_may_end_in_another_thread(name: str, store: str) -> None:
    for block in (
        incumbent.lead(name, store=store, **FAST),
        incumbent.Semaphore(f"{name}-seats", 1, store=store, **FAST),
    ):
        for _ in range(2):
            with ThreadPoolExecutor(1) as pool:
                held = pool.submit(block.__enter__).result(60)
            assert held
            block.__exit__(None, None, None)
            assert not held
        with pytest.raises(RuntimeError):
            block.__exit__(None, None, None)


def test_the_end_of_a_block_does_not_release_that_of_another_thread(name: str, store: str) -> None:
    seats = incumbent.Semaphore(name, 2, store=store, **FAST)
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        held = [pool.submit(seats.__enter__).result(60) for pool in (one, other)]
        with pytest.raises(RuntimeError):
            seats.__exit__(None, None, None)
        assert all(held)
        for pool in (one, other):
            pool.submit(seats.__exit__, None, None, None).result(60)


def test_a_configuration_that_cannot_be_used_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INCUMBENT_STORE", raising=False)
    for options, words in [
        ({}, "no store is given"),
        ({"store": "gopher://x"}, "gopher"),
        ({"store": ["memory:a", "memory:b"]}, "2"),
        ({"store": "memory:a", "interval": "5 parsecs"}, "parsecs"),
        ({"store": "memory:a", "on_overrun": "panic"}, "panic"),
        ({"store": "memory:a", "interval": -1}, "interval must not be negative"),
        ({"store": "memory:a", "interval": float("inf")}, "interval: inf seconds"),
        ({"store": "memory:a", "interval": [1]}, "interval is no duration"),
        ({"store": "memory:a", "stall_polls": -1}, "stall_polls must be a whole number"),
        ({"store": "memory:a", "username": 1}, "username: "),
    ]:
        with pytest.raises(incumbent.ConfigError, match=words):
            incumbent.Election(name, **options)  # type: ignore[arg-type]
    for unknown in ({"unknown": 1}, {"kill": True}):
        with pytest.raises(TypeError, match="is no option"):
            incumbent.Election(name, store="memory:a", **unknown)  # type: ignore[arg-type]
    for timeout in ([1], -2, float("nan"), "5 parsecs"):
        with pytest.raises(incumbent.ConfigError):
            incumbent.Lock(name, store="memory:a").acquire(timeout=timeout)  # type: ignore[arg-type]
    with pytest.raises(incumbent.ConfigError, match="seats must be a whole number"):
        incumbent.Semaphore(name, -1, store="memory:a")
    with pytest.raises(incumbent.ConfigError, match="name with its seat has 202 bytes"):
        incumbent.Semaphore("n" * 200, 2, store="memory:a").acquire()
    incumbent.Election(name, store="memory:a", failover=None, password=None)  # type: ignore[arg-type]
    assert incumbent.Election(name, store="memory:a", interval="2 sec").window == 10
    monkeypatch.setenv("INCUMBENT_STORE", "memory:a memory:b memory:c")
    with incumbent.lead(name) as leadership:
        leadership.check()


def test_no_server_is_unreachable(name: str, tmp_path: os.PathLike[str]) -> None:
    with pytest.raises(incumbent.Unreachable):
        incumbent.Election(name, store=f"redis+unix://{tmp_path}/none.sock", **FAST).try_campaign()


def test_the_wheel_brings_the_command(name: str, store: str, child: Callable[..., Child]) -> None:
    code = """
        import os, sys, sysconfig
        program = os.path.join(sysconfig.get_path("scripts"), "incumbent")
        os.execv(program, [program, "run", sys.argv[1], "--store", sys.argv[2], "--interval", "500ms",
                           "--stop-grace", "200ms", "--", "sh", "-c", "echo program runs; sleep 60"])
    """
    command = child(code, name, store)
    command.expect("program runs")
    with pytest.raises(incumbent.Held):
        incumbent.Election(name, store=store, **FAST).try_campaign()
    command.signal(signal.SIGKILL)
    incumbent.Election(name, store=store, **FAST).campaign().release()
