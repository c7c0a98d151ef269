from dataclasses import replace

import pytest
import torch

from medzoo import Ensemble, ModelSpec, Trainer, create_model, synthetic
from medzoo.datasets import Dataset
from medzoo.errors import TrainingError
from medzoo.images.resize import center_crop_resize
from medzoo.inference import average_logits, predict_logits
from medzoo.training import Recipe
from medzoo.training.checks import check_high_res
from medzoo.training.distillation import Teacher
from medzoo.transforms import input_spec, prepare_batch
from tests.training.quick import specified

CPU = torch.device("cpu")
QUICK = Recipe(epochs=1, batch_size=16, distillation=0.5, ema_decay=0.0)


@pytest.fixture(scope="module")
def tiny():
    return synthetic("dermamnist", n_train=32, n_val=32, n_test=8)


def sure_of_the_first(images):
    return torch.tensor([5.0, 0, 0, 0, 0, 0, 0]).expand(len(images), 7)


def small(data, **args):
    return create_model("simple_cnn", dataset=data, widths=(4, 8, 16), **args)


def test_answers_are_blended_into_the_targets(tiny):
    targets = torch.nn.functional.one_hot(tiny.train.labels[:4], 7).float()
    blended = Teacher(specified(sure_of_the_first, tiny), tiny, 0.25, CPU).blend(
        torch.rand(4, 3, 28, 28), targets
    )
    answers = sure_of_the_first(targets).softmax(dim=1)
    assert torch.allclose(blended, 0.75 * targets + 0.25 * answers, atol=1e-6)


def test_labels_of_multi_label_sets_are_blended_one_by_one():
    chest = synthetic("chestmnist", n_train=8, n_val=8, n_test=8)
    teacher = Teacher(
        specified(lambda images: torch.zeros(len(images), 14), chest), chest, 0.5, CPU
    )
    blended = teacher.blend(torch.rand(2, 1, 28, 28), torch.ones(2, 14))
    assert blended.tolist() == [[0.75] * 14] * 2


def test_a_teacher_gets_images_in_its_own_normalisation(tiny):
    teacher = small(tiny)
    teacher.pretrained_cfg |= {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
    teacher.temperature = 2.0
    pixels = torch.rand(4, 3, 28, 28)
    expected = input_spec(tiny)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (expected.mean, expected.std))
    answers = Teacher(teacher, tiny, 1.0, CPU, "float32").blend(
        (pixels - mean) / std, torch.zeros(4, 7)
    )
    with torch.no_grad():
        own = (teacher.eval()((pixels - 0.5) / 0.25) / 2).softmax(dim=1)
    assert torch.allclose(answers, own, atol=1e-5)


@pytest.mark.parametrize(("own", "shared"), [("pneumoniamnist", 3), ("dermamnist", 1)])
def test_a_teacher_gets_images_in_its_own_channels(own, shared):
    teacher = small(synthetic(own, n_train=8, n_val=8, n_test=8))
    part = (
        torch.randint(256, (16, shared, 28, 28), dtype=torch.uint8),
        torch.arange(16) % teacher.num_classes,
    )
    data = Dataset.from_arrays(part, part, part, classes=teacher.dataset.classes)
    config = input_spec(data)
    taught = Teacher(teacher, data, 1.0, CPU, "float32")
    answers = taught.blend(
        prepare_batch(data.train.images, config), torch.zeros(16, teacher.num_classes)
    )
    expected = predict_logits(teacher, data.train.images, device=CPU).softmax(dim=1)
    assert torch.allclose(answers.double(), expected, atol=1e-4)


def test_a_teacher_that_cannot_take_the_images_is_refused_before_training(tiny):
    gray = torch.nn.Sequential(torch.nn.Conv2d(1, 7, 28), torch.nn.Flatten())
    with pytest.raises(ValueError, match=r"teacher cannot take images of .* \(3, 28, 28\)"):
        Trainer(small(tiny), tiny, QUICK, teacher=specified(gray, tiny))


def test_an_ensemble_teaches_its_mean(tiny):
    members = [small(tiny), small(tiny)]
    images = torch.randn(4, 3, 28, 28)
    answers = Teacher(Ensemble(members), tiny, 1.0, CPU, "float32").blend(images, torch.zeros(4, 7))
    with torch.no_grad():
        mean = average_logits([member(images) for member in members], multi_label=False)
    assert torch.allclose(answers, mean.softmax(dim=1), atol=1e-5)


def test_a_teacher_sees_what_its_student_sees(tiny):
    seen = {"teacher": [], "student": []}

    def teacher(images):
        seen["teacher"].append(images)
        return sure_of_the_first(images)

    student = small(tiny)
    student.register_forward_pre_hook(
        lambda module, given: seen["student"].append(given[0]) if module.training else None
    )
    recipe = QUICK.with_changes(augmentation={"rotation": 90, "mixup": 1.0, "mix_probability": 1.0})
    Trainer(student, tiny, recipe, teacher=specified(teacher, tiny), progress=False).fit()
    assert len(seen["student"]) == 2
    for shown, learnt in zip(seen["teacher"][-2:], seen["student"], strict=True):
        assert shown.equal(learnt)


def test_a_teacher_does_not_learn(tiny):
    teacher = small(tiny)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    Trainer(small(tiny), tiny, QUICK, teacher=teacher).fit()
    assert all(value.equal(before[name]) for name, value in teacher.state_dict().items())


def test_a_model_is_not_its_own_teacher(tiny):
    model = small(tiny)
    for teacher in (model, Ensemble([small(tiny), model])):
        with pytest.raises(ValueError, match=r"has parameters of the model.*deepcopy"):
            Trainer(model, tiny, QUICK, teacher=teacher)


def test_a_run_is_not_resumed_with_another_teacher(tiny, tmp_path):
    first, other = small(tiny), small(tiny)
    Trainer(small(tiny), tiny, QUICK, output=tmp_path, teacher=first).fit()
    assert Trainer(small(tiny), tiny, QUICK, output=tmp_path, teacher=first).fit(resume=True)
    with pytest.raises(TrainingError, match="teacher"):
        Trainer(small(tiny), tiny, QUICK, output=tmp_path, teacher=other).fit(resume=True)


def test_a_teacher_for_other_classes_is_an_error(tiny):
    other = create_model("simple_cnn", num_classes=3, in_chans=3, widths=(4, 8, 16))
    with pytest.raises(ValueError, match=r"3 (logits|classes)"):
        Trainer(small(tiny), tiny, QUICK, teacher=other)


def test_a_run_is_not_resumed_with_a_teacher_whose_weights_differ_a_little(tiny, tmp_path):
    teacher = small(tiny)
    Trainer(small(tiny), tiny, QUICK, output=tmp_path, teacher=teacher).fit()
    with torch.no_grad():
        teacher.head.fc.bias[0] += 1e-5
    with pytest.raises(TrainingError, match="other teacher"):
        Trainer(small(tiny), tiny, QUICK, output=tmp_path, teacher=teacher).fit(resume=True)


def test_as_many_classes_with_other_names_are_an_error():
    breast, pneumonia = (
        synthetic(name, n_train=16, n_val=16, n_test=8)
        for name in ("breastmnist", "pneumoniamnist")
    )
    with pytest.raises(ValueError, match=r"teacher was made for .*PneumoniaMNIST.*BreastMNIST"):
        Trainer(small(breast), breast, QUICK, teacher=small(pneumonia))


@pytest.fixture
def high_res(tiny):
    """The images of `tiny`, of which each pixel has become sixteen."""
    blocks = tiny.train.images.repeat_interleave(4, 2).repeat_interleave(4, 3)
    return replace(tiny, train=replace(tiny.train, images=blocks))


def test_a_teacher_may_see_the_same_images_larger(tiny, high_res):
    seen = []

    def teacher(images):
        seen.append(tuple(images.shape))
        return sure_of_the_first(images)

    trainer = Trainer(
        small(tiny),
        tiny,
        QUICK,
        teacher=specified(teacher, high_res),
        high_res=high_res,
        progress=False,
    )
    seen.clear()
    trainer.fit()
    assert seen == [(16, 3, 112, 112)] * 2


def test_a_model_learns_from_larger_images_at_its_own_size(tiny, high_res):
    recipe = QUICK.with_changes(distillation=0.0)
    ordinary = Trainer(small(tiny), tiny, recipe)
    trainer = Trainer(small(tiny), tiny, recipe, high_res=high_res)
    pairs = zip(ordinary.batches.epoch(0), trainer.batches.loader.epoch(0), strict=True)
    for (images, targets), (large, same_targets) in pairs:
        scaled = trainer.batches.to_size(large)
        assert scaled.shape == images.shape
        assert targets.equal(same_targets)
        assert (scaled - images).abs().mean() < 0.1 * images.std()
    assert trainer.fit().history[-1]["val_auc"] > 0


def test_a_turned_image_stays_sharp_when_it_was_larger(tiny):
    stripes = torch.zeros(32, 3, 112, 112, dtype=torch.uint8)
    stripes[..., torch.arange(112) % 12 < 6] = 255  # of three pixels' width when they are small
    large = replace(tiny, train=replace(tiny.train, images=stripes))
    fine = replace(tiny, train=replace(tiny.train, images=center_crop_resize(stripes, 28)))
    recipe = QUICK.with_changes(distillation=0.0, augmentation={"rotation": 180})
    contrast = {}
    for name, given in (("small", None), ("large", large)):
        trainer = Trainer(small(tiny), fine, recipe, high_res=given)
        images, _ = next(trainer.batches.epoch(0))
        contrast[name] = images.std().item()
    assert contrast["large"] > 1.05 * contrast["small"]  # upright, it is 1 in both


def test_a_run_is_not_resumed_with_other_larger_images(tiny, high_res, tmp_path):
    recipe = QUICK.with_changes(distillation=0.0)
    Trainer(small(tiny), tiny, recipe, output=tmp_path, high_res=high_res).fit()
    # Too little for the check of how they look.
    brighter = (high_res.train.images // 2) + 20
    other = replace(high_res, train=replace(high_res.train, images=brighter))
    with pytest.raises(TrainingError, match="other high_res"):
        Trainer(small(tiny), tiny, recipe, output=tmp_path, high_res=other).fit(resume=True)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda images: images[:, :, ::8, ::8], "14 pixels per side"),
        (lambda images: images.roll(1, 0), "look different"),
        (lambda images: 255 - images, "look different"),
    ],
)
def test_larger_images_that_are_smaller_or_look_different_are_an_error(
    tiny, high_res, change, match
):
    other = replace(high_res, train=replace(high_res.train, images=change(high_res.train.images)))
    with pytest.raises(ValueError, match=f"high_res=.*{match}"):
        check_high_res(other, tiny)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_larger_images_by_any_interpolation_pass(tiny, mode):
    resized = torch.nn.functional.interpolate(tiny.train.images.float(), size=64, mode=mode)
    images = resized.clamp(0, 255).to(torch.uint8)
    check_high_res(replace(tiny, train=replace(tiny.train, images=images)), tiny)


def test_larger_images_with_other_classes_are_an_error(tiny, high_res):
    info = replace(high_res.info, classes=tuple("abcdefg"))
    with pytest.raises(ValueError, match="their classes are"):
        check_high_res(replace(high_res, info=info), tiny)


def test_other_larger_images_are_an_error(tiny):
    other = synthetic("dermamnist", n_train=32, n_val=32, n_test=8, seed=1)
    with pytest.raises(ValueError, match="high_res="):
        Trainer(
            small(tiny), tiny, QUICK, teacher=specified(sure_of_the_first, other), high_res=other
        )


def test_a_callable_teacher_gets_its_own_normalisation_and_temperature(tiny):
    own = ModelSpec.for_data(tiny)
    own = replace(own, input=replace(own.input, mean=(0.1,) * 3, std=(0.05,) * 3), temperature=2.0)
    seen = []

    def teacher(images):
        seen.append(images)
        return sure_of_the_first(images)

    teacher.spec = own
    taught = Teacher(teacher, tiny, 1.0, CPU, "float32")
    targets = taught.blend(prepare_batch(tiny.train.images, input_spec(tiny)), torch.zeros(32, 7))
    assert torch.allclose(seen[-1], prepare_batch(tiny.train.images, own.input), atol=1e-4)
    expected = (sure_of_the_first(seen[-1]) / 2).softmax(dim=1)
    assert torch.allclose(targets, expected)
