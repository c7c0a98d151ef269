"""The head: what timm's computes, with gradients in the layout of the map."""

import pytest
import torch
from timm.layers import ClassifierHead, SelectAdaptivePool2d
from torch import nn

from medzoo.models._base import Head


@pytest.mark.parametrize("pool", ["avg", "max", "avgmax", ""])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("pre_logits", [True, False])
def test_it_computes_what_timms_does(pool, training, pre_logits):
    torch.manual_seed(0)
    classes = 3 if pool else 0
    head, timms = (one(8, classes, pool).train(training) for one in (Head, ClassifierHead))
    timms.load_state_dict(head.state_dict())
    maps = [torch.randn(4, 8, 5, 5).requires_grad_()]
    maps.append(maps[0].detach().clone().requires_grad_())
    found, expected = (one(x, pre_logits) for one, x in zip((head, timms), maps, strict=True))
    assert torch.equal(found, expected)
    weights = torch.randn_like(found)
    for logits in (found, expected):
        (logits * weights).sum().backward()
    torch.testing.assert_close(maps[0].grad, maps[1].grad)


@pytest.mark.parametrize("head", [Head, ClassifierHead])
def test_its_gradient_is_not_laid_out_as_nchw_as_timms_is(head):
    inner, seen = torch.randn(4, 8, 5, 5).to(memory_format=torch.channels_last), []
    inner.requires_grad_().register_hook(seen.append)
    head(8, 3)(inner).sum().backward()
    assert seen[0].is_contiguous() is (head is ClassifierHead)


class GeM(nn.Module):
    """A pooling of one's own, as users of timm put it into a head."""

    def forward(self, x):
        return x.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)


class Doubled(SelectAdaptivePool2d):
    def forward(self, x):
        return 2 * super().forward(x)


def with_method():
    pool = SelectAdaptivePool2d(pool_type="avg", flatten=True)
    pool.forward = lambda x: 2 * SelectAdaptivePool2d.forward(pool, x)
    return pool


def with_hook(register, of=lambda pool: pool):
    pool = SelectAdaptivePool2d(pool_type="avg", flatten=True)
    if register == "register_forward_hook":
        of(pool).register_forward_hook(lambda *about: 2 * about[2])
    else:
        of(pool).register_forward_pre_hook(lambda _, inputs: (2 * inputs[0],))
    return pool


@pytest.mark.parametrize(
    "make",
    [
        GeM,
        lambda: Doubled(pool_type="avg", flatten=True),
        with_method,
        lambda: with_hook("register_forward_hook"),
        lambda: with_hook("register_forward_pre_hook"),
        lambda: with_hook("register_forward_hook", lambda pool: pool.pool),
        lambda: SelectAdaptivePool2d(2, pool_type="avg", flatten=True),
        lambda: SelectAdaptivePool2d(pool_type="avg", flatten=False),
    ],
    ids=["own", "subclass", "method", "hook", "pre-hook", "hook within", "2 x 2", "as a map"],
)
def test_in_training_it_pools_as_in_evaluation(make):
    head, maps = Head(8, 3), torch.randn(4, 8, 5, 5)
    head.global_pool = make()
    pooled = head.eval()(maps, pre_logits=True)
    torch.testing.assert_close(head.train()(maps, pre_logits=True), pooled)


def test_hooks_of_its_pooling_see_gradients():
    head, seen = Head(8, 3), []
    head.global_pool.register_full_backward_hook(lambda *about: seen.append(about[2][0].shape))
    head(torch.randn(4, 8, 5, 5, requires_grad=True)).sum().backward()
    assert seen == [(4, 8)]
