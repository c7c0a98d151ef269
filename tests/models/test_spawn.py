"""Models given to processes that `torch.multiprocessing` starts anew."""

import torch
import torch.multiprocessing as mp

import medzoo
from medzoo.models import create_model
from tests.processes import forkserver


def answer(rank, models, images, path):
    with torch.inference_mode():
        logits = [model(images) for model in models]
    torch.save({"logits": logits, "specs": [model.spec.to_dict() for model in models]}, path)


def test_models_work_in_spawned_processes(tmp_path):
    own = create_model("simple_cnn", dataset="dermamnist", widths=(4, 8, 16)).eval()
    timms = create_model("timm/test_resnet", dataset="dermamnist").eval()
    models = [own, timms, medzoo.Ensemble([own, timms])]
    images = torch.randn(2, 3, 28, 28)
    forkserver()  # has PyTorch before its first process
    mp.start_processes(answer, (models, images, tmp_path / "found.pt"), start_method="forkserver")
    found = torch.load(tmp_path / "found.pt")
    assert found["specs"] == [model.spec.to_dict() for model in models]
    with torch.inference_mode():
        for model, logits in zip(models, found["logits"], strict=True):
            torch.testing.assert_close(model(images), logits)
