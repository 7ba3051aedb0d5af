"""Turns: half of the places at most for one, a round among those who wait, and nothing lost when somebody stops waiting."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.turns import Turns


@pytest.mark.parametrize(("places", "most"), [(1, 1), (2, 1), (3, 1), (4, 2), (16, 8)])
def test_one_who_asks_often_holds_half_of_the_places(places: int, most: int) -> None:
    """And whoever else comes is served at once."""

    async def act() -> None:
        turns, held, end = Turns(places), Counter[str](), asyncio.Event()

        async def work(who: str) -> None:
            async with turns.of(who):
                held[who] += 1
                await end.wait()

        greedy = [asyncio.create_task(work("greedy")) for _ in range(50)]
        await asyncio.sleep(0.01)
        assert held["greedy"] == most
        other = asyncio.create_task(work("other"))
        await asyncio.sleep(0.01)
        assert held["other"] == (1 if places > 1 else 0)
        end.set()
        await asyncio.gather(*greedy, other)
        assert held == {"greedy": 50, "other": 1}

    asyncio.run(act())


def test_who_waits_gets_places_by_a_round() -> None:
    """However much one of them waits for; each one's own in the order in which they were asked for."""

    async def act() -> None:
        turns, order = Turns(1), list[str]()

        async def work(who: str, number: int) -> None:
            async with turns.of(who):
                order.append(f"{who}{number}")
                await asyncio.sleep(0)

        asked = [("a", n) for n in range(4)] + [("b", 0), ("b", 1), ("c", 0)]
        await asyncio.gather(*(work(who, n) for who, n in asked))
        assert order == ["a0", "a1", "b0", "c0", "a2", "b1", "a3"]

    asyncio.run(act())


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.booleans()), max_size=30), st.integers(1, 4))
def test_whoever_stops_waiting_no_place_is_lost(asks: list[tuple[str, int, bool]], places: int) -> None:
    """Before or after it was given one; never more are held than there are."""

    async def act() -> None:
        turns, holding = Turns(places), 0

        async def work(who: str, steps: int) -> None:
            nonlocal holding
            async with turns.of(who):
                holding += 1
                assert holding <= places
                try:
                    for _ in range(steps):
                        await asyncio.sleep(0)
                finally:
                    holding -= 1

        tasks = []
        for who, steps, ends in asks:
            tasks.append(asyncio.create_task(work(who, steps)))
            await asyncio.sleep(0)
            if ends:
                tasks[len(tasks) // 2].cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 300)
        assert holding == 0
        for _ in range(2):  # all places are there again
            await asyncio.wait_for(asyncio.gather(*(work(str(n), 1) for n in range(places))), 300)

    asyncio.run(act())
