"""The model card: metadata that the Hub accepts, and text that says what has to be said."""

import copy
import json
import re
from dataclasses import replace

import pytest
import timm
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load

import medzoo
from medzoo.publishing import Release, timm_config
from medzoo.publishing.card import hub_licence, model_card
from medzoo.publishing.push import repository_files
from medzoo.spec import ConformalSpec
from medzoo.weights import read_config, weights_index
from tests.hub_repository import card_errors

ENTRIES = sorted(name for name, entry in weights_index().items() if entry.metrics)


@pytest.fixture(scope="module", params=ENTRIES)
def release(request):
    return Release.of(request.param)


def test_the_card_of_a_backbone_names_its_sets_and_claims_no_results():
    card = str(model_card(Release.of("advanced_cnn.medmnist"), "org/name"))
    assert list(card_errors(card)) == []
    assert "breastmnist, dermamnist, pneumoniamnist, retinamnist together" in card
    assert not ModelCard(card).data.eval_results


def test_the_card_of_a_backbone_says_what_a_backbone_is():
    release = Release.of("advanced_cnn.medmnist")
    card = model_card(release, "org/backbone")
    assert card.data.pipeline_tag == "image-feature-extraction"
    assert "image-classification" not in card.data.tags
    assert card.data.datasets == ["breastmnist", "dermamnist", "pneumoniamnist", "retinamnist"]
    for wrong in ("0 classes", "medzoo.predict(", "logits", "one of its classes", "medzoo train"):
        assert wrong not in card.text
    for right in ("medzoo.finetune(", "medzoo.linear_probe(", "benchmarks/release/backbone.py"):
        assert right in card.text
    assert (
        "- breastmnist, each image 4 times per epoch; its file and md5 are not recorded"
        in card.text
    )


def test_the_card_of_a_backbone_names_the_files_that_are_recorded():
    release = Release.of("advanced_cnn.medmnist")
    file = {"file": "dermamnist.npz", "md5": "5" * 32, "official": False, "note": "rebuilt"}
    data = dict(release.data) | {"files": {"dermamnist": file}}
    text = model_card(replace(release, data=data), "org/backbone").text
    expected = f"file `dermamnist.npz`, md5 `{'5' * 32}`, not medmnist's official file (rebuilt)"
    assert f"- dermamnist, each image once per epoch; {expected}" in text


def test_what_the_card_of_a_backbone_shows_works(hub):
    medzoo.push_to_hub("advanced_cnn.medmnist", "org/backbone", token=hub.token)
    features = timm.create_model("hf-hub:org/backbone", pretrained=True, features_only=True).eval()
    backbone = medzoo.create_model("hf-hub:org/backbone")
    images = torch.rand(2, *backbone.pretrained_cfg["input_size"])
    expected = backbone.forward_intermediates(images, intermediates_only=True)
    for one, other in zip(features(images), expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    data = medzoo.synthetic("breastmnist", n_train=16, n_val=16, n_test=16)
    assert medzoo.linear_probe("hf-hub:org/backbone", data, resamples=0).test.n == 16


def test_the_hub_accepts_the_metadata(release):
    card = model_card(release, "org/name")
    assert list(card_errors(str(card))) == []
    data = ModelCard(str(card)).data
    entry_licence = release.licence.lower().replace(" ", "-")
    assert (data.license, data.library_name) == (entry_licence, "timm")
    assert data.pipeline_tag == "image-classification"
    assert data.datasets == [release.spec.dataset.name]
    assert {"timm", "medzoo", "image-classification"} <= set(data.tags)


def test_results_on_the_hub_are_those_of_the_index(release):
    results = ModelCard(str(model_card(release, "org/name"))).data.eval_results
    found = {(r.dataset_split, r.metric_type): r.metric_value for r in results}
    for split, report in release.metrics.items():
        assert found[split, "roc_auc"] == report["auc"]
        assert found[split, "accuracy"] == report["acc"]
        assert found[split, "f1"] == report["macro_f1"]
    assert {r.dataset_name for r in results} == {release.title}
    assert {r.task_type for r in results} == {"image-classification"}


def test_the_text_says_what_has_to_be_said(release):
    text = model_card(release, "org/name").text
    assert "Not for clinical use" in text
    assert 'medzoo.create_model("hf-hub:org/name")' in text
    assert 'timm.create_model("hf-hub:org/name", pretrained=True)' in text
    assert f"{release.spec.temperature:.4g}" in text
    assert release.title in text
    assert f"md5 `{release.data['md5']}`" in text
    assert ("not medmnist's official file" in text) is not release.data["official"]
    assert all(name in text for name in release.spec.dataset.classes)
    low, high = release.metrics["test"]["intervals"]["acc"]
    assert f"{release.metrics['test']['acc']:.3f} [{low:.3f}, {high:.3f}]" in text
    assert f'"epochs": {release.recipe["epochs"]}' in text
    assert ("mean ± standard deviation" in text) is (release.seed_stats is not None)
    assert ("non-commercial" in text) is ("NC" in release.licence)


def test_seeds_are_told(release):
    seeds = {"seeds": [0, 1], "auc": {"mean": 0.91, "sd": 0.01}, "acc": {"mean": 0.8, "sd": 0.02}}
    text = model_card(replace(release, seed_stats=seeds), "org/name").text
    assert "best of 2 runs" in text
    assert "AUC 0.9100 ± 0.0100, ACC 0.8000 ± 0.0200" in text


@pytest.mark.parametrize("name", [name for name in ENTRIES if weights_index()[name].teacher])
def test_the_card_of_a_distilled_checkpoint_names_teachers_and_larger_images(name):
    entry = weights_index()[name]
    text = model_card(Release.of(name), "org/name").text
    count, size, high_res = {
        "dermamnist": ("2 x advanced_cnn", "3 x 64 x 64", "64 x 64 pixels (md5 `94e200f58dee"),
        "breastmnist": ("5 x advanced_cnn", "1 x 28 x 28", ""),
        "retinamnist": ("3 x simple_cnn", "3 x 28 x 28", ""),
        "pneumoniamnist": ("simple_cnn", "1 x 64 x 64", "64 x 64 pixels (md5 `"),
        "efficientnet.dermamnist": ("advanced_cnn", "3 x 28 x 28", ""),
    }[name if name == "efficientnet.dermamnist" else entry.dataset]
    weight, members = entry.recipe["distillation"], len(entry.teacher)
    told = f"a teacher had a weight of {weight} in the targets, the mean of {members} models"
    assert told in text
    assert f"{count} (made for {entry.dataset}; input {size}; " in text
    assert f"{entry.teacher[0]['parameters']:,} parameters" in text
    assert high_res in text
    assert ("scaled down" in text) is bool(high_res)
    assert ("2 x simple_cnn (view: local)" in text) is (entry.dataset == "retinamnist")


def test_every_distilled_checkpoint_of_the_index_has_teachers():
    for name, entry in weights_index().items():
        assert bool(entry.teacher) is (entry.recipe["distillation"] > 0), name
        sizes = [one["input_size"][-1] for one in entry.teacher or ()]
        expected = max(sizes, default=0) > entry.spec.input.size
        assert bool(entry.high_res) is expected, name


def test_the_card_of_a_run_of_ones_own_names_its_published_teacher(tmp_path, tiny):
    data = replace(tiny, info=medzoo.dataset_info("dermamnist"))
    recipe = medzoo.Recipe(epochs=1, batch_size=16, distillation=0.25)
    teacher = medzoo.create_model("simple_cnn.dermamnist", pretrained=True)
    model = medzoo.create_model("simple_cnn", dataset=data, widths=(4, 8, 16))
    run = medzoo.Trainer(model, data, recipe, teacher=teacher, output=tmp_path).fit()
    text = model_card(Release.of(run.weights), "me/own").text
    assert (
        "a teacher had a weight of 0.25 in the targets: simple_cnn (made for dermamnist; input "
        "3 x 28 x 28; 1,101,663 parameters)." in text
    )
    assert "reproduce.py" not in text
    assert "scaled down" not in text


def test_the_card_of_a_run_without_teacher_names_none(file):
    release = Release.of(file)
    assert "teacher" not in model_card(release, "me/own").text
    # A file from before the teacher was recorded.
    older = replace(release, recipe={"distillation": 0.8})
    assert "there is no record of which teacher" in model_card(older, "me/own").text


def test_the_same_release_gives_the_same_card(file):
    assert str(model_card(Release.of(file), "a/b")) == str(model_card(Release.of(file), "a/b"))


def test_a_file_tells_of_its_training(file):
    release = Release.of(file)
    text = model_card(release, "me/own").text
    assert release.title == "DermaMNIST (rebuilt)"
    assert '"seed": 7' in text
    assert "These weights were not evaluated" in text
    assert ModelCard(str(model_card(release, "me/own"))).data.eval_results is None


def test_validation_scores_of_a_file_are_told_but_are_no_results(model, tmp_path):
    training = {"val_auc": 0.9126, "val_acc": 0.7, "recipe": {"epochs": 3}}
    file = medzoo.save_weights(model, tmp_path / "own.safetensors", training=training)
    card = model_card(Release.of(file), "me/own")
    assert "On the validation split, the selected epoch had AUC 0.913, ACC 0.700" in card.text
    assert "not test results" in card.text
    assert "not evaluated" not in card.text
    assert ModelCard(str(card)).data.eval_results is None


def test_a_model_for_data_of_ones_own(tmp_path, tiny):
    info = replace(tiny.info, name="our images", title="Our images", licence="")
    data = replace(tiny, info=info)
    model = medzoo.create_model("simple_cnn", dataset=data, widths=(4, 8, 16))
    card = model_card(Release.of(model), "me/own")
    assert list(card_errors(str(card))) == []
    assert card.data.license is None
    assert card.data.datasets is None
    assert "official" not in card.text
    assert "no record of the training" in card.text
    assert "ask the author" in card.text


def test_prediction_sets_are_explained(model):
    assert "prediction_set" not in model_card(Release.of(model), "me/small").text
    sets = ConformalSpec("lac", 0.9, (0.1,) * 7, 1003)
    calibrated = copy.deepcopy(model)
    calibrated.spec = replace(model.spec, conformal=sets)
    release = Release.of(calibrated)
    text = model_card(release, "me/small").text
    assert "a 90 % set, contains the class of an image with this probability for each class" in text
    assert "the 1,003 that it was calibrated on (conformal prediction, LAC)" in text
    config = timm_config(release.spec)
    assert config["medzoo"]["conformal"] == sets.to_dict()


def test_a_network_that_timm_cannot_build_is_not_offered_to_its_users(release):
    card = model_card(release, "org/name", in_timm=False)
    assert card.data.library_name == "medzoo"
    assert "timm.create_model" not in card.text


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC BY-NC 4.0", "cc-by-nc-4.0"),
        ("CC BY 4.0", "cc-by-4.0"),
        ("Apache-2.0", "apache-2.0"),
        ("Our own terms", "other"),
        ("", None),
    ],
)
def test_licences_as_the_hub_writes_them(licence, expected, file):
    assert hub_licence(licence) == expected
    card = model_card(Release.of(file, licence=licence), "org/name")
    assert card.data.license == expected
    assert list(card_errors(str(card))) == []
    named = re.search(r"^license_name: (.*)$", str(card), re.MULTILINE)
    assert (named[1] if named else None) == ("our-own-terms" if expected == "other" else None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("license: cc-by-nc-4.0", "license: CC BY-NC 4.0"), "license"),
        (("pipeline_tag: image-classification", "pipeline_tag: images"), "pipeline_tag"),
        (("- dermamnist", "- derma mnist"), "datasets"),
        (("      value: 0.", "      value: x0."), "not a number"),
        (("- name: name", "- nom: name"), "model-index"),
        (("---\n", "---\n\t"), "YAML"),
    ],
)
def test_the_hub_of_the_tests_refuses_bad_metadata(change, message):
    card = str(model_card(Release.of("simple_cnn.dermamnist"), "org/name"))
    assert change[0] in card
    assert any(message in error for error in card_errors(card.replace(*change)))


def test_the_card_of_what_was_finetuned_has_the_backbones_licence(tmp_path):
    data = medzoo.synthetic("breastmnist", n_train=16, n_val=16, n_test=8)
    data = replace(data, info=replace(data.info, licence="CC BY 4.0"))
    recipe = medzoo.Recipe(epochs=1, batch_size=16)
    run = medzoo.finetune("simple_cnn.dermamnist", data, recipe, output=tmp_path)
    for what in (run.weights, run.model):
        release = Release.of(what)
        card = model_card(release, "me/own")
        assert card.data.license == "cc-by-nc-4.0"
        assert "non-commercial" in card.text
        assert timm_config(release.spec)["pretrained_cfg"]["license"] == "cc-by-nc-4.0"


def test_names_of_unknown_origin_are_shown_literally(tmp_path):
    names = ("a\n\n# Heading", "<script>x</script>", "[x](http://a)", "a|b", "1. one")
    data = medzoo.synthetic("retinamnist", n_train=8, n_val=8, n_test=8)
    text = {"title": "**Own**", "licence": "<i>", "description": "![a](b)\n---"}
    data = replace(data, info=replace(data.info, name="own", classes=names, **text))
    model = medzoo.create_model("simple_cnn", dataset=data, widths=(4, 4, 4))
    record = {"data": {"file": "`x`|", "md5": "m`\n# d", "official": False, "note": "<b>"}}
    file = medzoo.save_weights(model, tmp_path / "own.safetensors", training=record)
    release = Release.of(file)
    measured = medzoo.evaluate(model, data.test, resamples=0).to_dict() | {"title": "**Own**"}
    card = model_card(replace(release, metrics={"test": measured}), "me/own")
    assert list(card_errors(str(card))) == []
    lines = card.text.splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        "# own",
        "## Use",
        "## Intended use and limits",
        "## Training data",
        "## Results",
        "## Training",
        "## Licence",
    ]
    assert r"0. a # Heading" in lines
    assert r"1. \<script\>x\</script\>" in lines
    assert r"2. \[x\](http://a)" in lines
    assert r"3. a\|b" in lines
    assert r"4. 1\. one" in lines
    assert r"!\[a\](b) ---" in lines
    assert r"The licence of the weights is \<i\>; " in card.text
    assert r"**\*\*Own\*\* (\<b\>)**. File `` `x`| ``, md5 ``m` # d``." in lines
    (row,) = [line for line in lines if "| test |" in line]
    assert row.startswith(r"| \*\*Own\*\* | test | 8 |")


def test_another_licence_is_in_card_config_and_weights(file):
    before = Release.of(file)
    release = Release.of(file, licence="MIT")
    files = repository_files(release, "org/name")
    weights = next(content for name, content in files.items() if name.endswith(".safetensors"))
    assert read_config("model.safetensors", content=weights).spec.licence == "MIT"
    assert json.loads(files["config.json"])["pretrained_cfg"]["license"] == "mit"
    tensors, earlier = load(weights), load(before.content)
    assert tensors.keys() == earlier.keys()
    assert all(torch.equal(tensors[name], earlier[name]) for name in tensors)
