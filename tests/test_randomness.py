"""Random numbers follow from a seed, whatever other threads draw."""

import threading
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from medzoo.randomness import generator_state, own_generator, reserve_generator

CPU = torch.device("cpu")
DRAWS = {
    "rand": lambda: torch.rand(5),
    "randn": lambda: torch.randn(5),
    "randint": lambda: torch.randint(3, 99, (5,)),
    "randperm": lambda: torch.randperm(9),
    "rand_like": lambda: torch.rand_like(torch.zeros(5)),
    "normal": lambda: torch.normal(0.0, 1.0, (5,)),
    "normal_": lambda: torch.empty(5).normal_(),
    "bernoulli_": lambda: torch.empty(50).bernoulli_(0.5),
    "trunc_normal_": lambda: nn.init.trunc_normal_(torch.empty(5)),
    "Linear": lambda: nn.Linear(3, 4).weight.detach(),
    "Conv2d": lambda: nn.Conv2d(3, 4, 3).weight.detach(),
    "dropout": lambda: nn.Dropout()(torch.ones(50)),
}


@contextmanager
def drawing():
    """Draw from PyTorch's shared generator in another thread."""
    stop = threading.Event()

    def draw():
        while not stop.is_set():
            torch.rand(9)

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_it_draws_what_a_seed_gives_and_leaves_the_shared_generator(draw):
    torch.manual_seed(7)
    expected = [draw(), draw()]
    state = torch.get_rng_state()
    with own_generator(7):
        assert all(map(torch.equal, [draw(), draw()], expected))
    assert torch.equal(torch.get_rng_state(), state)
    with drawing(), own_generator(7):
        assert all(map(torch.equal, [draw(), draw()], expected))


def test_a_generator_that_is_given_is_used():
    expected = torch.rand(5, generator=torch.Generator().manual_seed(1))
    with own_generator(7):
        assert torch.equal(torch.rand(5, generator=torch.Generator().manual_seed(1)), expected)


def test_modules_without_memory_are_left_alone():
    with own_generator(7), torch.device("meta"):
        assert nn.Linear(3, 4).weight.is_meta


def test_the_shared_generator_is_reserved_for_one_thread_at_a_time():
    held, order = threading.Event(), []

    def second():
        held.wait()
        with reserve_generator(2, CPU):
            order.append(torch.rand(1).item())

    thread = threading.Thread(target=second)
    thread.start()
    with reserve_generator(1, CPU):
        held.set()
        thread.join(0.1)
        order.append(torch.rand(1).item())
    thread.join()
    expected = [torch.rand(1, generator=torch.Generator().manual_seed(s)).item() for s in (1, 2)]
    assert order == expected


def test_the_state_changes_when_something_is_drawn():
    before = generator_state(torch.device("cpu"))
    assert generator_state(torch.device("cpu")) == before
    torch.rand(1)
    assert generator_state(torch.device("cpu")) != before


def test_a_reserved_generator_is_given_back_as_it_was():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    expected = torch.rand(1, generator=torch.Generator().manual_seed(7))
    with reserve_generator(7, CPU):
        assert torch.equal(torch.rand(1), expected)
    assert torch.equal(torch.get_rng_state(), state)
