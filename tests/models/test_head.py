"""The head: what timm's computes, with gradients in the layout of the map."""

import pytest
import torch
from timm.layers import ClassifierHead

from medzoo.models._base import Head


@pytest.mark.parametrize("pool", ["avg", "max", "avgmax", ""])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("pre_logits", [True, False])
def test_it_computes_what_timms_does(pool, training, pre_logits):
    torch.manual_seed(0)
    head, timms = Head(8, 3, pool).train(training), ClassifierHead(8, 3, pool).train(training)
    timms.load_state_dict(head.state_dict())
    size = 5 if pool else 8  # without pooling, the classifier meets the last dimension
    maps = [torch.randn(4, 8, size, size).requires_grad_()]
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
