"""medzoo's models and published weights through timm alone: the same networks and logits."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from PIL import Image
from timm.models import PretrainedCfg, get_pretrained_cfg, save_for_hf

from medzoo.errors import WeightsError
from medzoo.models import _pretrained as published
from medzoo.models import create_model, list_models, save_weights
from medzoo.models._build import small_image_cfg
from medzoo.publishing.timm_config import timm_config
from medzoo.transforms import create_transform
from medzoo.weights import WeightsConfig, locate_weights, read_config, weights_index
from tests.models.conftest import noise

TAGS = list_models(pretrained=True)
GRAY = "advanced_cnn.pneumoniamnist"


def path_of(name: str) -> Path:
    return locate_weights(weights_index()[name])


def repository(folder: Path, weights: Path) -> Path:
    """A folder as it would lie on the Hub."""
    folder.mkdir(exist_ok=True)
    shutil.copy(weights, folder / "model.safetensors")
    config = json.dumps(timm_config(read_config(weights).spec))
    (folder / "config.json").write_text(config)
    return folder


@torch.inference_mode()
def assert_same(model: torch.nn.Module, expected: torch.nn.Module) -> None:
    channels, size, _ = expected.pretrained_cfg["input_size"]
    x = noise(3, channels, size, size)
    assert torch.equal(model.eval()(x), expected.eval()(x))


# Who is imported first


def run(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path[:0] = {[str(p) for p in path]};" + code
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize("imports", ["import medzoo, timm", "import timm, medzoo"])
def test_both_are_imported_even_if_medzoos_models_cannot_be(imports, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')")
    (tmp_path / "timm" / "models").mkdir(parents=True)
    (tmp_path / "timm" / "__init__.py").write_text("from . import models")
    (tmp_path / "timm" / "layers.py").write_text("import torch")
    (tmp_path / "timm" / "models" / "__init__.py").write_text("answer = 42")
    result = run(f"{imports}; print(timm.models.answer)", tmp_path)
    assert result.stdout.strip() == "42", result.stderr
    assert "RuntimeWarning: timm works, but does not know medzoo's" in result.stderr
    assert "no torch here" in result.stderr


# Published weights, by tag


@pytest.mark.parametrize("tag", TAGS)
def test_tags_give_medzoos_logits(tag):
    assert_same(timm.create_model(f"medzoo_{tag}", pretrained=True), create_model(tag, None, True))


@pytest.mark.parametrize("tag", TAGS)
def test_stem_and_classifier_are_adapted_alike(tag):
    channels = 4 - read_config(path_of(tag)).spec.input.channels
    model = timm.create_model(f"medzoo_{tag}", pretrained=True, in_chans=channels, num_classes=5)
    expected = create_model(tag, pretrained=True, in_chans=channels, num_classes=5)
    assert model.get_classifier().out_features == 5
    for each in (model, expected):
        each.reset_classifier(0)
    assert_same(model, expected)


def test_tags_are_listed_and_the_bare_name_stays_untrained():
    names = {f"medzoo_{tag}" for tag in TAGS}
    assert set(timm.list_pretrained("medzoo_*")) == names
    assert set(timm.list_models("medzoo_*", pretrained=True)) == names
    assert not timm.is_model_pretrained("medzoo_advanced_cnn")
    with pytest.raises(ValueError, match=r"which weights; name them.*medzoo_advanced_cnn\.derma"):
        timm.create_model("medzoo_advanced_cnn", pretrained=True)
    with pytest.raises(RuntimeError, match="Invalid pretrained tag"):
        timm.create_model("medzoo_advanced_cnn.nothing", pretrained=True)


def test_a_tag_alone_gives_the_architecture_of_its_weights():
    untrained = timm.create_model(f"medzoo_{GRAY}")
    trained = timm.create_model(f"medzoo_{GRAY}", pretrained=True)
    shapes = [{name: t.shape for name, t in m.state_dict().items()} for m in (untrained, trained)]
    assert shapes[0] == shapes[1]
    assert not torch.equal(untrained.stem.weight, trained.stem.weight)


def test_timm_feeds_images_as_medzoo_trained():
    model = timm.create_model(f"medzoo_{GRAY}", pretrained=True)
    expected = read_config(path_of(GRAY)).spec.input
    found = timm.data.resolve_model_data_config(model)
    assert found == {
        "input_size": expected.shape,
        "mean": expected.mean,
        "std": expected.std,
        "interpolation": "bicubic",
        "crop_pct": 1.0,
        "crop_mode": "center",
    }
    assert get_pretrained_cfg(f"medzoo_{GRAY}").mean == expected.mean
    assert model.pretrained_cfg["label_names"] == ("normal", "pneumonia")
    assert model.pretrained_cfg["license"] == "cc-by-4.0"


def test_timm_prepares_an_image_as_medzoo_does():
    model = timm.create_model("medzoo_simple_cnn.dermamnist", pretrained=True)
    pixels = torch.randint(256, (28, 28, 3), dtype=torch.uint8).numpy()
    prepare = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    torch.testing.assert_close(
        prepare(Image.fromarray(pixels)), create_transform(model)(pixels), rtol=0, atol=1e-5
    )


@torch.inference_mode()
def test_features_only_and_a_new_classifier():
    backbone = timm.create_model(f"medzoo_{GRAY}", pretrained=True, features_only=True).eval()
    x = noise(1, 1, 32, 32)
    expected = create_model(GRAY, pretrained=True)
    maps = expected.forward_intermediates(x, intermediates_only=True)
    torch.testing.assert_close(backbone(x), maps, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="out_indices=5: the feature pyramid has 4 levels"):
        timm.create_model(f"medzoo_{GRAY}", features_only=True, out_indices=5)
    model = timm.create_model(f"medzoo_{GRAY}", pretrained=True).eval()
    model.reset_classifier(4)
    assert model(x).shape == (1, 4)


def test_damaged_weights_are_never_loaded(monkeypatch):
    damaged = {GRAY: replace(weights_index()[GRAY], sha256="0" * 64)}
    monkeypatch.setattr(published, "weights_index", lambda: damaged)
    with pytest.raises(WeightsError, match="damaged or was replaced"):
        timm.create_model(f"medzoo_{GRAY}", pretrained=True)


def test_weights_of_ones_own_under_a_tag_are_not_taken_for_the_published(tmp_path):
    model = create_model(GRAY, pretrained=True)
    torch.nn.init.ones_(model.get_classifier().weight)
    file = save_weights(model, tmp_path / "own.safetensors")
    overlay = {"file": str(file)}
    own = timm.create_model(f"medzoo_{GRAY}", pretrained=True, pretrained_cfg_overlay=overlay)
    # What timm itself writes names the tag as well.
    save_for_hf(own, str(tmp_path / "saved"), safe_serialization=True)
    assert_same(own, model)
    assert_same(timm.create_model(f"local-dir:{tmp_path / 'saved'}", pretrained=True), model)


def test_weights_that_are_not_in_the_package_come_from_the_hub(hub, monkeypatch):
    content = path_of(GRAY).read_bytes()
    revision = hub.add("org/elsewhere", {"model.safetensors": content})
    entry = replace(
        weights_index()[GRAY],
        name="advanced_cnn.elsewhere",
        file="elsewhere.safetensors",
        hub={"repo_id": "org/elsewhere", "revision": revision},
    )
    monkeypatch.setattr(published, "weights_index", lambda: {entry.name: entry})
    cfgs = published.published_cfgs("medzoo_advanced_cnn", small_image_cfg())
    cfg = cfgs.cfgs["elsewhere"]
    assert cfg.hf_hub_id == f"org/elsewhere@{revision}"
    cfg = replace(cfg, architecture="medzoo_advanced_cnn", tag="elsewhere")
    model = timm.create_model("medzoo_advanced_cnn", pretrained=True, pretrained_cfg=cfg)
    assert_same(model, create_model(GRAY, pretrained=True))
    monkeypatch.setattr(
        published, "weights_index", lambda: {entry.name: replace(entry, sha256="0" * 64)}
    )
    with pytest.raises(WeightsError):
        timm.create_model("medzoo_advanced_cnn", pretrained=True, pretrained_cfg=cfg)


def test_a_missing_file_without_a_copy_is_no_pretrained_weight(monkeypatch):
    entry = replace(weights_index()[GRAY], file="gone.safetensors")
    monkeypatch.setattr(published, "weights_index", lambda: {GRAY: entry})
    cfgs = published.published_cfgs("medzoo_advanced_cnn", small_image_cfg())
    assert not cfgs.cfgs["pneumoniamnist"].has_weights
    assert cfgs.cfgs[""] == PretrainedCfg(**small_image_cfg())


# config.json


@pytest.mark.parametrize("tag", TAGS)
def test_a_local_folder_gives_medzoos_logits(tag, tmp_path):
    folder = repository(tmp_path / "repository", path_of(tag))
    model = timm.create_model(f"local-dir:{folder}", pretrained=True)
    assert_same(model, create_model(tag, pretrained=True))


def test_the_hub_gives_medzoos_logits(hub, tmp_path):
    folder = repository(tmp_path / "repository", path_of(GRAY))
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    revision = hub.add("org/lungs", files)
    expected = create_model(GRAY, pretrained=True)
    for name in ("org/lungs", f"org/lungs@{revision}"):
        assert_same(timm.create_model(f"hf-hub:{name}", pretrained=True), expected)
    other = timm.create_model("hf-hub:org/lungs", pretrained=True, num_classes=3, in_chans=3)
    assert other.eval()(noise(1, 3, 28, 28)).shape == (1, 3)
    assert other.pretrained_cfg["label_names"] == ["normal", "pneumonia"]


@pytest.mark.parametrize(
    ("name", "size"), [("timm/resnet18", 96), ("timm/vit_tiny_patch16_224", 32)]
)
def test_networks_of_timms_are_described_too(name, size, tmp_path):
    model = create_model(name, num_classes=3, in_chans=1, size=size).eval()
    file = save_weights(model, tmp_path / "own.safetensors")
    folder = repository(tmp_path / "repository", file)
    assert_same(timm.create_model(f"local-dir:{folder}", pretrained=True), model)


def test_a_smaller_stem_is_nothing_that_timm_would_build_wrongly(tmp_path):
    model = create_model("timm/resnet18", num_classes=3, in_chans=1)
    folder = repository(tmp_path, save_weights(model, tmp_path / "own.safetensors"))
    with pytest.raises(RuntimeError, match="Unknown model"):
        timm.create_model(f"local-dir:{folder}")


def test_a_backbone_without_a_data_set_is_described():
    model = create_model("simple_cnn", num_classes=0, in_chans=1, widths=(4, 8, 16))
    config = json.loads(json.dumps(timm_config(WeightsConfig.of(model).spec)))
    assert (config["num_classes"], config["num_features"]) == (0, 16)
    assert config["model_args"] == {"widths": [4, 8, 16]}
    assert config["label_names"] is None
    assert config["medzoo"] == {"dataset": None, "task": None, "temperature": 1.0}


@pytest.mark.parametrize("name", ["simple_cnn", "timm/test_resnet"])
def test_tensors_of_a_model_can_be_written_as_safetensors(name, tmp_path, tiny):
    models = [create_model(name, dataset=tiny)]
    models.append(create_model(save_weights(models[0], tmp_path / "own.safetensors")))
    for model in models:
        safetensors.torch.save_file(model.state_dict(), tmp_path / "tensors.safetensors")
        loaded = safetensors.torch.load_file(tmp_path / "tensors.safetensors")
        assert all(torch.equal(loaded[key], t) for key, t in models[0].state_dict().items())


@pytest.mark.parametrize("name", ["simple_cnn", "advanced_cnn.pneumoniamnist"])
def test_timms_own_export_works(name, tmp_path):
    model = create_model(name, pretrained="." in name).eval()
    timm.models.save_for_hf(model, tmp_path, safe_serialization=True)
    loaded = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    images = torch.randn(2, *model.spec.input.shape)
    assert torch.equal(loaded(images), model(images))


def test_timms_moving_average_follows_a_model():
    model = create_model("simple_cnn", widths=(4, 8, 16))
    average = timm.utils.ModelEmaV3(model, decay=0.0)
    with torch.no_grad():
        model.stem.conv.weight.add_(1)
    average.update(model)
    assert torch.equal(average.module.stem.conv.weight, model.stem.conv.weight)


@pytest.mark.parametrize("dataset", ["pneumoniamnist", "retinamnist"])  # other stem and classes
def test_weights_that_do_not_fit_name_the_arguments_that_do(dataset, tmp_path):
    weights = create_model("advanced_cnn.pneumoniamnist", dataset=dataset, pretrained=True)
    path = tmp_path / "tensors.pt"
    torch.save(weights.state_dict(), path)
    shape = {"num_classes": weights.num_classes, "in_chans": weights.spec.input.channels}
    found = re.escape("widths=[32, 64, 128, 256]")
    for load in (
        lambda: create_model("advanced_cnn", **shape).load_state_dict(weights.state_dict()),
        lambda: create_model("advanced_cnn", **shape, checkpoint_path=path),
        lambda: timm.create_model("medzoo_advanced_cnn", checkpoint_path=path),
    ):
        with pytest.raises(RuntimeError, match=rf"create_model\('advanced_cnn', .*{found}"):
            load()
    fits = create_model("advanced_cnn", **shape, **weights.spec.model_args)
    fits.load_state_dict(weights.state_dict())


def test_weights_of_another_architecture_say_so():
    own = create_model("simple_cnn", widths=(4, 8, 16))
    for other in ("advanced_cnn", "simple_cnn"):
        with pytest.raises(RuntimeError, match="of another architecture, or of other arguments"):
            create_model(other).load_state_dict(own.state_dict())
