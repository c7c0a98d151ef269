import io
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from medzoo.datasets import synthetic
from medzoo.errors import DatasetError
from medzoo.inference import predict_logits, probabilities
from medzoo.prediction import Prediction, predict
from medzoo.spec import ModelSpec
from tests.evaluation.test_evaluate import Net


def test_every_form_of_an_image_gives_what_the_split_gives(data, model, tmp_path):
    tensor = data.test.images[0]
    array = tensor.permute(1, 2, 0).numpy()
    image = Image.fromarray(array)
    image.save(tmp_path / "lesion.png")
    forms = [tensor, array, image, tmp_path / "lesion.png", str(tmp_path / "lesion.png")]

    logits = predict_logits(model, data.test.images[:1], device="cpu")
    expected = dict(
        zip(data.info.classes, probabilities(logits, "multi-class")[0].tolist(), strict=True)
    )
    for form in forms:
        single = predict(model, form, device="cpu")
        assert isinstance(single, Prediction)
        assert single.probabilities == pytest.approx(expected, abs=1e-6)
    together = predict(model, forms, device="cpu", batch_size=2)
    assert [one.label for one in together] == [max(expected, key=expected.get)] * len(forms)


def test_a_batch_gives_a_list(data, model):
    for batch in (data.test.images, data.test.images.permute(0, 2, 3, 1).numpy()):
        several = predict(model, batch, device="cpu", batch_size=4)
        answers = predict_logits(model, data.test.images, device="cpu").argmax(1)
        assert [one.label for one in several] == [data.info.classes[k] for k in answers]
    assert predict(model, []) == []


def test_a_prediction_is_ranked_labelled_and_json_safe(data, model):
    one = predict(model, data.test.images[0], device="cpu")
    assert all(a >= b for a, b in pairwise(one.probabilities.values()))
    assert sum(one.probabilities.values()) == pytest.approx(1)
    assert one.probabilities[one.label] == one.probability == max(one.probabilities.values())
    assert one.labels == (one.label,)
    assert json.loads(json.dumps(one.to_dict())) == {
        "probabilities": one.probabilities,
        "labels": [one.label],
    }
    assert str(one).splitlines()[0].split("  ")[0].strip() == one.label


def test_top_k_keeps_the_most_probable(data, model):
    everything = predict(model, data.test.images[0], device="cpu")
    top = predict(model, data.test.images[0], top_k=2, device="cpu")
    assert list(top.probabilities) == list(everything.probabilities)[:2]
    assert len(predict(model, data.test.images[0], top_k=99, device="cpu").probabilities) == 7


def test_multi_label_decides_for_every_label_above_half():
    data = synthetic("chestmnist", n_test=4)
    model = Net(data.info)
    model.head = torch.nn.Linear(4 * 26**2, 14)
    torch.nn.init.zeros_(model.head.weight)
    with torch.no_grad():
        model.head.bias.copy_(torch.tensor([-3.0] * 12 + [1.0, 2.0]))
    one = predict(model, data.test.images[0], top_k=1, device="cpu")
    names = data.info.classes
    assert one.labels == (names[13], names[12])
    assert list(one.probabilities) == [names[13]]
    assert one.probability == pytest.approx(1 / (1 + np.exp(-2)))

    low = predict(model, data.test.images[0], threshold=0.01, device="cpu")
    assert set(low.labels) == set(names)
    high = predict(model, data.test.images[0], threshold=0.8, device="cpu")
    assert high.labels == (names[13],)

    with torch.no_grad():
        model.head.bias.fill_(-3)
    assert predict(model, data.test.images[0], device="cpu").labels == ()


def test_a_model_made_for_no_data_set_gives_numbers(data):
    model = Net(data.info)
    model.spec = ModelSpec("", model.spec.input, 7)
    assert predict(model, data.test.images[0], device="cpu").label in set("0123456")


def test_a_missing_file_is_named(model, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"image file '.*nowhere.png' does not exist"):
        predict(model, tmp_path / "nowhere.png")


def test_an_unreadable_file_is_named(model, tmp_path):
    text, cut, good = tmp_path / "text.png", tmp_path / "cut.png", tmp_path / "good.png"
    text.write_text("no image")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(good)
    cut.write_bytes(good.read_bytes()[:2000])
    for path in (text, cut):
        with pytest.raises(DatasetError, match=f"cannot read '.*{path.name}' as an image"):
            predict(model, [good, path])


def png(tensor):
    buffer = io.BytesIO()
    Image.fromarray(tensor.permute(1, 2, 0).numpy()).save(buffer, "PNG")
    return buffer.getvalue()


def test_bad_arguments_are_refused(data, model):
    with pytest.raises(ValueError, match="top_k=0"):
        predict(model, data.test.images[0], top_k=0)
    with pytest.raises(ValueError, match="top_k='3' must be a whole number"):
        predict(model, data.test.images[0], top_k="3")
    with pytest.raises(TypeError, match="unknown option 'topk'; did you mean 'top_k'"):
        predict(model, data.test.images[0], topk=3)
    with pytest.raises(TypeError, match=r"threshold='0\.3' must be a number"):
        predict(model, data.test.images[0], threshold="0.3")
    with pytest.raises(ValueError, match="batch_size='8' must be a whole number"):
        predict(model, data.test.images[0], batch_size="8")
    with pytest.raises(ValueError, match=r"threshold=0\.3 is for binary and multi-label"):
        predict(model, data.test.images[0], threshold=0.3)
    with pytest.raises(ValueError, match=r"threshold=1\.0 must be a number between"):
        predict(model, data.test.images[0], threshold=1.0)
    with pytest.raises(ValueError, match="unknown on_error 'ignore'"):
        predict(model, data.test.images[0], on_error="ignore")
    with pytest.raises(ValueError, match="batch_size=0"):
        predict(model, data.test.images[0], batch_size=0)
    with pytest.raises(ValueError, match=r"image 1: .*shape"):
        predict(model, [data.test.images[0], np.zeros(5, np.uint8)], device="cpu")
    cut = io.BytesIO(png(data.test.images[0])[:-60])
    with pytest.raises(ValueError, match=r"image 0: .*truncated"):
        predict(model, [Image.open(cut)], device="cpu")
    with pytest.raises(TypeError, match="image 0: "):
        predict(model, [None], device="cpu")
    wrong = Net(data.info)
    wrong.head = torch.nn.Linear(4 * 26**2, 3)
    with pytest.raises(ValueError, match=r"gives 3 logits, but its spec has 7 classes"):
        predict(wrong, data.test.images[0], device="cpu")


@pytest.mark.parametrize("address", ["https://x.org/y.png", "http://x.org/y.png?size=[3]"])
def test_an_address_is_not_fetched(address, model):
    for images in (address, [address], Path(address)):
        with pytest.raises(ValueError, match=r"y\.png.* is a URL; download the image first"):
            predict(model, images)


def test_a_model_without_classifier_is_refused(model):
    spec = model.spec
    model.spec = spec.with_num_classes(0)
    try:
        with pytest.raises(ValueError, match="no classifier"):
            predict(model, np.zeros((28, 28, 3), np.uint8))
    finally:
        model.spec = spec
