"""asyncio: work is cancelled on loss, and a cancelled wait leaves the election."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from conftest import FAST, Server

import incumbent
from incumbent import aio


def test_it_leads_and_releases(name: str, store: str) -> None:
    async def main() -> int:
        async with aio.lead(name, store=store, **FAST) as leadership:
            leadership.check()
            with pytest.raises(incumbent.Held):
                await aio.Election(name, store=store, **FAST).try_campaign()
        status = await aio.Election(name, store=store, **FAST).status()
        assert status["state"] != "held"
        return leadership.fencing_token

    assert asyncio.run(main()) < asyncio.run(main())


def test_work_is_cancelled_when_the_leadership_is_lost(name: str, server: Server) -> None:
    async def main() -> str:
        try:
            async with aio.lead(name, store=server.url, **FAST):
                server.freeze()
                try:
                    await asyncio.sleep(60)
                    return "it was not cancelled"
                finally:
                    server.thaw()
        except incumbent.LeadershipLost as lost:
            assert isinstance(lost.__cause__, asyncio.CancelledError)
            # The task itself goes on.
            await asyncio.sleep(0)
            return lost.reason
        return "nothing was lost"

    assert "no majority" in asyncio.run(main())


def test_a_cancellation_from_outside_stays_one(name: str, store: str) -> None:
    async def main() -> None:
        election = aio.Election(name, store=store, **FAST)
        task = asyncio.create_task(_hold(name, store))
        while (await election.status())["state"] != "held":
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await election.status())["state"] != "held"
        assert (await election.history(1))["terms"][0]["reason"] == "resigned"

    asyncio.run(main())


def test_a_lock_that_was_won_as_its_wait_was_cancelled_is_released(name: str, store: str) -> None:
    class Cancelled:
        """A wait whose task is cancelled at the moment in which it is won."""

        def __init__(self, task: asyncio.Task[Any], pending: Any) -> None:
            self._task, self._pending = task, pending

        def ready(self) -> bool:
            ready = bool(self._pending.ready())
            return ready and self._task.cancel()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._pending, name)

    async def main() -> None:
        lock = aio.lock(name, store=store, **FAST)
        task = asyncio.current_task()
        assert task is not None
        win = lock._win
        lock._win = lambda: Cancelled(task, win())  # type: ignore[assignment, method-assign, return-value]
        with pytest.raises(asyncio.CancelledError):
            async with lock:
                pytest.fail("it was cancelled")
        getattr(task, "uncancel", int)()
        async with aio.lock(name, timeout=60, store=store, **FAST) as held:
            held.check()

    asyncio.run(main())


async def _hold(name: str, store: str) -> None:
    async with aio.lead(name, store=store, **FAST):
        await asyncio.sleep(600)


def test_a_cancelled_wait_leaves_the_election(name: str, store: str) -> None:
    async def main() -> None:
        async with aio.lead(name, store=store, **FAST):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(_hold(name, store), 0.1)
        async with aio.lead(name, store=store, timeout=60, **FAST) as leadership:
            leadership.check()

    asyncio.run(main())


def test_the_loop_serves_others_while_one_waits(name: str, store: str) -> None:
    async def main() -> None:
        held = await aio.Election(name, store=store, **FAST).campaign()
        waiting = asyncio.create_task(_once(name, store))
        for _ in range(10):
            await asyncio.sleep(0.01)
        assert not waiting.done()
        await held.release()
        assert await waiting

    asyncio.run(main())


async def _once(name: str, store: str) -> bool:
    async with aio.lead(name, store=store, **FAST) as leadership:
        return bool(leadership)


def test_a_release_ends_its_block_quietly(name: str, store: str) -> None:
    async def main() -> None:
        for block in (aio.lead(name, store=store, **FAST), aio.lock(f"{name}-lock", store=store, **FAST)):
            async with block as held:
                await held.release()
                assert not held
                # What is cancelled is so at the next wait.
                assert await held.lost.wait()
                await asyncio.sleep(0)

    asyncio.run(main())


def test_a_block_may_end_in_another_task(name: str, store: str) -> None:
    async def holding(lock: aio.lock) -> AsyncIterator[incumbent.Leadership]:
        async with lock as held:
            yield held

    async def main(lock: aio.lock) -> None:
        generator, ended = holding(lock), asyncio.Event()

        async def begin(held: asyncio.Future[incumbent.Leadership]) -> bool:
            held.set_result(await anext(generator))
            return await ended.wait()

        begun = asyncio.get_running_loop().create_future()
        beginning = asyncio.create_task(begin(begun))
        held = await begun
        held.check()
        await generator.aclose()  # type: ignore[attr-defined]
        assert not held
        ended.set()
        assert await beginning

    for kind in (aio.lock, aio.rlock):
        lock = kind(name, timeout=60, store=store, **FAST)
        asyncio.run(main(lock))
        asyncio.run(main(lock))


def test_a_coroutine_function_runs_only_while_leading(name: str, store: str) -> None:
    @incumbent.run_as_leader(name, store=store, **FAST)
    async def work(leadership: incumbent.Leadership, what: str) -> str:
        leadership.check()
        return what

    async def main() -> str:
        return await work("done")

    assert asyncio.run(main()) == "done"


def test_events_come_one_by_one(name: str) -> None:
    async def main() -> list[str]:
        election = aio.Election(name, store=f"memory:{name}")
        seen: list[str] = []

        async def listen() -> None:
            async for event in election.events():
                seen.append(event["event"])
                if event["event"] == "released":
                    return

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
        async with election.lead() as leadership:
            assert election.is_leader and election.window > 0
            assert not leadership.lost.is_set()
        await listening
        return seen

    assert "elected" in asyncio.run(main())


def test_a_release_does_not_block_the_loop(name: str, server: Server) -> None:
    async def main() -> None:
        leadership = await aio.Election(name, store=server.url, **FAST).campaign()
        server.freeze()
        releasing = asyncio.create_task(leadership.release())
        for _ in range(10):
            await asyncio.sleep(0.001)
        assert not releasing.done()
        server.thaw()
        await releasing

    asyncio.run(main())


def test_the_loop_serves_others_until_it_is_lost(name: str, store: str) -> None:
    async def main() -> bool:
        leadership = await aio.Election(name, store=store, **FAST).campaign()
        asyncio.get_running_loop().call_soon(leadership.stop)
        lost = await leadership.lost.wait()
        await leadership.release()
        return lost

    assert asyncio.run(main())
