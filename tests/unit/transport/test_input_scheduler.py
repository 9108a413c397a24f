"""Whose input is parsed next, and for how long."""

from __future__ import annotations

import asyncio

from voxwire_server.transport.input_scheduler import ITERATION_SECONDS, WAKE_SECONDS, InputScheduler


def test_an_iteration_ends_when_its_time_is_used_and_the_next_continues_in_order() -> None:
    async def main() -> None:
        scheduler, done = InputScheduler(), []
        for i in range(5):
            scheduler.schedule(lambda i=i: (done.append(i), scheduler.add_time(ITERATION_SECONDS / 2)))
        assert not scheduler.can_run_now
        seen = []
        while not scheduler.can_run_now:
            await asyncio.sleep(0)
            seen.append(list(done))
        assert [0, 1] in seen
        assert [0, 1, 2, 3] in seen
        assert seen[-1] == [0, 1, 2, 3, 4]

    asyncio.run(main())


def test_wait_does_not_suspend_while_nothing_waits() -> None:
    async def main() -> None:
        scheduler = InputScheduler()
        waiting = scheduler.wait()
        try:
            waiting.send(None)
        except StopIteration:
            return
        raise AssertionError("it suspended")

    asyncio.run(main())


def test_coroutines_are_woken_in_order_and_only_so_many_in_one_iteration() -> None:
    async def main() -> None:
        scheduler, done = InputScheduler(), []

        async def work(i: int) -> None:
            await scheduler.wait()
            done.append(i)

        async def busy() -> None:
            scheduler.add_time(ITERATION_SECONDS)

        tasks = [asyncio.create_task(busy()), *(asyncio.create_task(work(i)) for i in range(20))]
        most = 0
        while len(done) < 20:
            before = len(done)
            await asyncio.sleep(0)
            most = max(most, len(done) - before)
        assert done == list(range(20))
        assert most <= ITERATION_SECONDS / WAKE_SECONDS + 1
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_a_cancelled_coroutine_uses_no_time() -> None:
    async def main() -> None:
        scheduler = InputScheduler()
        scheduler.schedule(lambda: None)
        task = asyncio.create_task(scheduler.wait())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert scheduler.can_run_now

    asyncio.run(main())


def test_principals_alternate_however_many_callbacks_one_of_them_has() -> None:
    async def main() -> list[str]:
        scheduler, done = InputScheduler(), []
        for principal in ("many", "many", "many", "one"):
            scheduler.schedule(
                lambda principal=principal: (done.append(principal), scheduler.add_time(ITERATION_SECONDS)), principal
            )
        for _ in range(10):
            await asyncio.sleep(0)
        return done

    assert asyncio.run(main()) == ["many", "one", "many", "many"]
