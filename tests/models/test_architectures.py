"""What all architectures promise: sizes, parameters, gradients, precisions, compilers."""

import pytest
import torch
from torch import nn

from medzoo.models import create_model, list_models
from tests.models.conftest import noise

REPORTED = {
    ("advanced_cnn", 7, 3): 5_055_879,
    ("advanced_cnn", 4, 1): 5_048_836,
    ("efficientnet", 7, 3): 2_449_975,
    ("efficientnet", 4, 1): 2_445_556,
}


@pytest.mark.parametrize(("name", "classes", "channels"), REPORTED)
def test_parameters_are_within_one_percent_of_the_reported(name, classes, channels):
    model = create_model(name, num_classes=classes, in_chans=channels)
    found = sum(p.numel() for p in model.parameters())
    assert found == pytest.approx(REPORTED[name, classes, channels], rel=0.01)


def test_baseline_has_the_reported_1_1_million_parameters():
    model = create_model("simple_cnn", num_classes=7, in_chans=3)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(1.1e6, rel=0.01)


@pytest.mark.parametrize("size", [28, 29, 31, 64, 128, 224])
def test_any_image_size_works(model, size):
    with torch.inference_mode():
        logits = model(noise(1, 3, size, size))
    assert logits.shape == (1, 5)
    assert logits.isfinite().all()


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("name", list_models())
def test_any_number_of_channels_and_classes_works(name, channels):
    model = create_model(name, num_classes=2 * channels, in_chans=channels).eval()
    with torch.inference_mode():
        assert model(noise(2, channels, 28, 28)).shape == (2, 2 * channels)
    assert model.pretrained_cfg["input_size"] == (channels, 28, 28)


def test_gradients_reach_all_parameters(fresh):
    loss = nn.functional.cross_entropy(fresh.train()(noise(4, 3, 28, 28)), torch.arange(4))
    loss.backward()
    without = [name for name, p in fresh.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")
def test_torchscript_gives_the_same(model):
    images = noise(2, 3, 28, 28)
    assert torch.equal(torch.jit.script(model)(images), model(images))


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")
def test_networks_of_timm_can_be_scripted_as_in_timm(tiny):
    model = create_model("timm/test_resnet", dataset=tiny).eval()
    images = noise(2, 3, 28, 28)
    assert torch.equal(torch.jit.script(model)(images), model(images))


def test_channels_last_gives_the_same(fresh):
    x = noise(2, 3, 28, 28)
    fresh.eval()
    with torch.inference_mode():
        contiguous = fresh(x)
        fresh.to(memory_format=torch.channels_last)
        last = fresh(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, contiguous, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_finite_and_near(fresh, dtype):
    x = noise(2, 3, 28, 28)
    fresh.eval()
    with torch.inference_mode():
        exact = fresh(x)
        near = fresh.to(dtype)(x.to(dtype)).float()
    assert near.isfinite().all()
    assert (near - exact).norm() < 0.05 * exact.norm()


def test_export_with_any_batch_size_gives_the_same(model):
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(model, (noise(3, 3, 28, 28),), dynamic_shapes=({0: batch},))
    exported = program.module()
    for count in (1, 5):
        x = noise(count, 3, 28, 28, seed=count)
        torch.testing.assert_close(exported(x), model(x), atol=1e-5, rtol=1e-4)


def test_compile_traces_the_model_as_one_graph(model):
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    x = noise(2, 3, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), model(x), atol=1e-5, rtol=1e-4)
