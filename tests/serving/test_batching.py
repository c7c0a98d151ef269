"""Images that wait at the same time run together; none waits for nothing."""

import asyncio
import threading
import time

import pytest
import torch

from medzoo.serving.batching import Batcher


class Model:
    """Answers each image with its value; notes its batches; waits while it is held."""

    def __init__(self):
        self.batches = []
        self.free = threading.Event()
        self.free.set()

    def __call__(self, images):
        self.batches.append(images.flatten(1)[:, 0].tolist())
        self.free.wait(60)
        if 255 in self.batches[-1]:
            raise ValueError("broken image")
        return self.batches[-1]


async def ready(*values):
    return torch.tensor(values, dtype=torch.uint8)[:, None, None, None]


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def batcher():
    batcher = Batcher(max_batch=4, max_wait=60)
    yield batcher
    batcher.close()


async def held(batcher, model):
    """Let the thread run a first image until `model.free` is set."""
    model.free.clear()
    first = asyncio.ensure_future(batcher.run("a", model, ready(0)))
    while not model.batches:
        await asyncio.sleep(0.001)
    return first


async def ask(batcher, model, values, key="a"):
    tasks = [asyncio.ensure_future(batcher.run(key, model, ready(one))) for one in values]
    await asyncio.sleep(0)
    return tasks


def test_what_came_while_a_batch_ran_is_the_next_batch(batcher, model):
    async def run():
        first = await held(batcher, model)
        others = await ask(batcher, model, [1, 2, 3, 4, 5])
        model.free.set()
        return await asyncio.gather(first, *others)

    assert asyncio.run(run()) == [[value] for value in range(6)]
    assert model.batches == [[0], [1, 2, 3, 4], [5]]


def test_a_lone_image_does_not_wait(batcher, model):
    start = time.monotonic()
    assert asyncio.run(batcher.run("a", model, ready(7))) == [7]
    assert time.monotonic() - start < 30  # the window is a minute


def test_an_image_waits_for_one_that_is_being_decoded(batcher, model):
    async def slowly(value):
        await asyncio.sleep(0.05)
        return await ready(value)

    async def run():
        slow = asyncio.ensure_future(batcher.run("a", model, slowly(2)))
        await asyncio.sleep(0)
        return await asyncio.gather(batcher.run("a", model, ready(1)), slow)

    assert asyncio.run(run()) == [[1], [2]]
    assert model.batches == [[1, 2]]


def test_it_does_not_wait_longer_than_the_window(model):
    batcher = Batcher(max_batch=4, max_wait=0.02)

    async def run():
        never = asyncio.ensure_future(batcher.run("a", model, asyncio.sleep(600)))
        await asyncio.sleep(0)
        answer = await asyncio.wait_for(batcher.run("a", model, ready(1)), 60)
        never.cancel()
        return answer

    assert asyncio.run(run()) == [1]


def test_an_image_that_cannot_be_decoded_lets_the_others_go(batcher, model):
    async def broken():
        await asyncio.sleep(0.02)
        raise ValueError("unreadable")

    async def run():
        tasks = [batcher.run("a", model, broken()), batcher.run("a", model, ready(1))]
        return await asyncio.gather(*tasks, return_exceptions=True)

    error, answer = asyncio.run(run())
    assert str(error) == "unreadable"
    assert answer == [1]


def test_keys_do_not_share_batches_and_the_oldest_goes_first(batcher, model):
    async def run():
        first = await held(batcher, model)
        tasks = await ask(batcher, model, [1, 2], "b") + await ask(batcher, model, [3], "a")
        model.free.set()
        await asyncio.gather(first, *tasks)

    asyncio.run(run())
    assert model.batches == [[0], [1, 2], [3]]


def test_a_request_of_many_images_runs_in_parts(batcher, model):
    assert asyncio.run(batcher.run("a", model, ready(*range(10)))) == list(range(10))
    assert model.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_what_was_cancelled_does_not_run(batcher, model):
    async def run():
        first = await held(batcher, model)
        gone, stays = await ask(batcher, model, [1, 2])
        gone.cancel()
        await asyncio.sleep(0.01)
        model.free.set()
        await first
        return await stays

    assert asyncio.run(run()) == [2]
    assert model.batches == [[0], [2]]


def test_a_failure_concerns_only_the_image_that_caused_it(batcher, model):
    async def run():
        first = await held(batcher, model)
        tasks = await ask(batcher, model, [1, 255, 2])
        model.free.set()
        await first
        return await asyncio.gather(*tasks, return_exceptions=True)

    one, error, two = asyncio.run(run())
    assert (one, two) == ([1], [2])
    assert str(error) == "broken image"


def test_other_work_takes_turns_with_batches(batcher, model):
    order = []

    async def run():
        first = await held(batcher, model)
        singles = [asyncio.ensure_future(batcher.call(lambda: order.append("x"))) for _ in range(3)]
        await asyncio.sleep(0)
        note = lambda images: order.append("batch") or model(images)  # noqa: E731
        batch = asyncio.ensure_future(batcher.run("a", note, ready(1)))
        await asyncio.sleep(0.01)
        model.free.set()
        await asyncio.gather(first, batch, *singles)

    asyncio.run(run())
    assert order.index("batch") <= 1


def test_the_thread_ends_and_starts_again(batcher, model):
    assert asyncio.run(batcher.run("a", model, ready(1))) == [1]
    batcher.close()
    for thread in threading.enumerate():
        if thread.name == "medzoo-models" and thread is batcher._thread:
            thread.join(5)
            assert not thread.is_alive()
    assert asyncio.run(batcher.run("a", model, ready(2))) == [2]


def test_images_arrive_from_any_thread(batcher, model):
    async def run():
        with batcher.expected("a", model) as job:
            threading.Thread(target=batcher.put, args=(job, torch.full((2, 1, 1, 1), 3))).start()
            return await job.answer

    assert asyncio.run(run()) == [3, 3]


def test_images_that_cannot_be_decoded_keep_no_others_waiting(batcher, model):
    async def run():
        with batcher.expected("a", model) as broken:
            other = (await ask(batcher, model, [1]))[0]
            await asyncio.sleep(0.01)
            assert not model.batches
            threading.Thread(target=batcher.fail, args=(broken, ValueError("broken"))).start()
            with pytest.raises(ValueError, match="broken"):
                await broken.answer
            return await other

    assert asyncio.run(run()) == [1]


def test_images_whose_request_was_given_up_do_not_run(batcher, model):
    async def run():
        with batcher.expected("a", model) as gone:
            pass
        batcher.put(gone, torch.zeros(1, 1, 1, 1))
        return await batcher.run("a", model, ready(2))

    assert asyncio.run(run()) == [2]
    assert model.batches == [[2]]
