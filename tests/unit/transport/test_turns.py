"""Whose bytes are worked on next."""

from __future__ import annotations

import asyncio

from voxwire_server.transport.turns import TURN_SECONDS, WAKING_SECONDS, Turns


def test_a_turn_ends_when_it_is_spent_and_goes_on_with_who_waited_longest() -> None:
    async def main() -> None:
        turns, done = Turns(), []
        for i in range(5):
            turns.ask(lambda i=i: (done.append(i), turns.spend(TURN_SECONDS / 2)))
        assert not turns.free
        seen = []
        while not turns.free:
            await asyncio.sleep(0)
            seen.append(list(done))
        assert [0, 1] in seen
        assert [0, 1, 2, 3] in seen
        assert seen[-1] == [0, 1, 2, 3, 4]

    asyncio.run(main())


def test_there_is_no_waiting_in_a_turn_that_is_free() -> None:
    async def main() -> None:
        turns = Turns()
        waiting = turns.wait()
        try:
            waiting.send(None)
        except StopIteration:
            return
        raise AssertionError("it suspended")

    asyncio.run(main())


def test_coroutines_that_waited_are_woken_in_order_and_no_more_than_a_turn_has_room_for() -> None:
    async def main() -> None:
        turns, done = Turns(), []

        async def work(i: int) -> None:
            await turns.wait()
            done.append(i)

        async def busy() -> None:
            turns.spend(TURN_SECONDS)

        tasks = [asyncio.create_task(busy()), *(asyncio.create_task(work(i)) for i in range(20))]
        most = 0
        while len(done) < 20:
            before = len(done)
            await asyncio.sleep(0)
            most = max(most, len(done) - before)
        assert done == list(range(20))
        assert most <= TURN_SECONDS / WAKING_SECONDS + 1
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_who_was_cancelled_takes_no_turn() -> None:
    async def main() -> None:
        turns = Turns()
        turns.ask(lambda: None)
        task = asyncio.create_task(turns.wait())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert turns.free

    asyncio.run(main())


def test_parties_take_turns_however_many_works_one_of_them_has() -> None:
    async def main() -> list[str]:
        turns, done = Turns(), []
        for principal in ("many", "many", "many", "one"):
            turns.ask(lambda principal=principal: (done.append(principal), turns.spend(TURN_SECONDS)), principal)
        for _ in range(10):
            await asyncio.sleep(0)
        return done

    assert asyncio.run(main()) == ["many", "one", "many", "many"]
