"""Wrappers and ensembles say which images are unfamiliar, and give the answers that they gave."""

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

import medzoo


@pytest.fixture(scope="module")
def data():
    return medzoo.synthetic("breastmnist", n_train=60, n_val=40, n_test=12)


def fitted(data, seed, size=28):
    torch.manual_seed(seed)
    net = medzoo.create_model("simple_cnn", dataset=data, size=size, widths=(8, 8, 8)).eval()
    same = medzoo.synthetic("breastmnist", size=size, n_train=60, n_val=40, n_test=1)
    net.ood_detector = medzoo.fit_ood_detector(net, same)
    return net


@pytest.fixture(scope="module")
def models(data):
    return fitted(data, 0), fitted(data, 1)


class Wrapper(torch.nn.Module):
    """What a training framework puts around a model."""

    def __init__(self, model, change=lambda x: x):
        super().__init__()
        self.model, self.change = model, change

    def forward(self, x):
        return self.model(self.change(x))


def test_what_is_around_a_model_does_not_hide_the_score(models, data):
    model, expected = models[0], medzoo.predict(models[0], data.test, batch_size=5)
    for around in (
        torch.nn.DataParallel(model),
        AveragedModel(model).eval(),
        torch.nn.DataParallel(AveragedModel(model).eval()),
    ):
        assert medzoo.predict(around, data.test, batch_size=5) == expected
        flipped = medzoo.predict(around, data.test, tta="flip")
        scores = [one.ood_score for one in expected]
        assert [one.ood_score for one in flipped] == pytest.approx(scores, rel=1e-4)


@pytest.mark.parametrize("hooked", [False, True])
def test_a_wrapper_that_may_change_the_images_is_not_scored(models, data, hooked):
    around = Wrapper(models[0], lambda x: 3 - x).eval()
    if hooked:
        around = torch.nn.DataParallel(models[0])
        around.register_forward_pre_hook(lambda _, arguments: (3 - arguments[0],))
    found = medzoo.predict(around, data.test)
    assert [one.ood_score for one in found] == [None] * len(data.test)
    spec = models[0].spec
    alone = medzoo.predict(lambda x: models[0](3 - x), data.test, spec=spec)
    assert [one.probabilities for one in found] == [one.probabilities for one in alone]


def test_the_score_of_an_ensemble_is_the_mean_of_its_members(models, data):
    ensemble = medzoo.Ensemble([*models, torch.nn.DataParallel(models[0])])
    found = medzoo.predict(ensemble, data.test, batch_size=5)
    each = [[one.ood_score for one in medzoo.predict(part, data.test)] for part in models]
    mean = [(2 * first + second) / 3 for first, second in zip(*each, strict=True)]
    assert [one.ood_score for one in found] == pytest.approx(mean, rel=1e-4)
    noise = torch.randint(256, (20, 1, 28, 28), dtype=torch.uint8)
    assert all(one.unfamiliar for one in medzoo.predict(ensemble, noise))
    wrapped = medzoo.predict(torch.nn.DataParallel(ensemble), data.test, batch_size=5)
    assert wrapped == found
    for tta in ("flip", "dihedral"):
        views = medzoo.predict(ensemble, data.test, tta=tta)
        assert [one.ood_score for one in views] == pytest.approx(mean, rel=1e-4)


def test_scoring_changes_no_answer_of_an_ensemble(models, data):
    ensemble, plain = medzoo.Ensemble(models), medzoo.Ensemble(models)
    expected = medzoo.predict(ensemble, data.test)
    kept = [one.ood_detector for one in models]
    try:
        models[1].ood_detector = None  # the other one still says it
        first = medzoo.predict(plain, data.test)
        alone = [one.ood_score for one in medzoo.predict(models[0], data.test)]
        assert [one.ood_score for one in first] == pytest.approx(alone, rel=1e-5)
        models[0].ood_detector = None
        bare = medzoo.predict(plain, data.test)
    finally:
        for model, detector in zip(models, kept, strict=True):
            model.ood_detector = detector
    assert {one.ood_score for one in bare} == {None}
    for found in (expected, first):
        assert [one.probabilities for one in found] == [one.probabilities for one in bare]


def test_members_that_get_enlarged_images_are_not_asked(models, data):
    large = fitted(data, 2, size=64)
    small_first = medzoo.Ensemble([models[0], large])
    alone = [one.ood_score for one in medzoo.predict(models[0], data.test)]
    found = [one.ood_score for one in medzoo.predict(small_first, data.test)]
    assert found == pytest.approx(alone, rel=1e-5)
    large_first = medzoo.Ensemble([large, models[0]])
    assert medzoo.predict(large_first, data.test.images[0]).ood_score > 0


def test_scoring_leaves_every_module_in_its_mode(models, data):
    ensemble = medzoo.Ensemble(models)
    models[0].train()
    try:
        before = [module.training for module in ensemble.modules()]
        medzoo.predict(ensemble, data.test)
        assert [module.training for module in ensemble.modules()] == before
    finally:
        models[0].eval()


def test_what_lacks_a_spec_is_not_asked_for_scores(models, data):
    class Bare:
        """Runs a model, and has what a compiled one has besides its spec."""

        has_ood_scores = True

        def __call__(self, images):
            return model(images)

        def with_ood_scores(self, images):
            raise AssertionError("it may expect other images than the given spec says")

    model, *_ = models
    image = data.val.images[0]
    one = medzoo.predict(Bare(), image, spec=medzoo.spec_of(model))
    assert one.ood_score is None
    assert one.probabilities == medzoo.predict(model, image).probabilities
