"""Images as people have them: contents, open files, iterators, columns, arrays, splits."""

import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from torch.utils import data as torch_data

import medzoo
from medzoo.datasets import synthetic
from medzoo.errors import DatasetError
from medzoo.prediction import Failure, Prediction, Predictions, explain, predict
from tests.evaluation.test_evaluate import Net
from tests.fuzz.dicom_files import dicom_file


@pytest.fixture(scope="module")
def gray():
    data = synthetic("pneumoniamnist", n_train=4, n_val=4, n_test=7)
    return data.test, Net(data.info)


@pytest.fixture
def paths(data, tmp_path):
    """The files of the first five images of the test split."""
    found = []
    for index, image in enumerate(data.test.images[:5]):
        found.append(tmp_path / f"{index}.png")
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(found[-1])
    return found


@pytest.fixture
def expected(model, paths):
    return [one.probabilities for one in predict(model, paths, device="cpu")]


def agree(found, expected):
    assert [type(found), len(found)] == [Predictions, len(expected)]
    for one, probabilities in zip(found, expected, strict=True):
        assert one.probabilities == pytest.approx(probabilities)


CONTENTS = {
    "bytes": lambda path: path.read_bytes(),
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "BytesIO": lambda path: io.BytesIO(path.read_bytes()),
    "open file": lambda path: path.open("rb"),
    "unseekable": lambda path: io.BufferedReader(Unseekable(path.read_bytes())),
}


class Unseekable(io.RawIOBase):
    """A stream as of a network connection."""

    def __init__(self, content):
        self.stream = io.BytesIO(content)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.stream.readinto(buffer)


@pytest.mark.parametrize("kind", CONTENTS)
def test_contents_and_open_files_are_images(kind, model, paths, expected):
    one = predict(model, CONTENTS[kind](paths[0]), device="cpu")
    assert isinstance(one, Prediction)
    assert one.source is None
    assert one.probabilities == pytest.approx(expected[0])
    agree(predict(model, [CONTENTS[kind](path) for path in paths], device="cpu"), expected)


def test_a_file_that_was_just_written_is_read_from_its_start(model, data, expected):
    buffer = io.BytesIO()
    Image.fromarray(data.test.images[0].permute(1, 2, 0).numpy()).save(buffer, "PNG")
    for _ in range(2):
        agree(predict(model, [buffer], device="cpu"), expected[:1])


def test_members_of_an_archive_are_read_one_after_the_other(model, paths, expected, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in paths:
            archive.write(path, path.name)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        files = (archive.open(name) for name in archive.namelist())
        agree(predict(model, files, device="cpu", batch_size=2), expected)


def test_the_content_of_a_dicom_file_is_an_image(gray):
    split, model = gray
    pixels = split.images[0, 0].numpy()
    one = predict(model, io.BytesIO(dicom_file(pixels)), device="cpu")
    assert one.probabilities == pytest.approx(predict(model, pixels, device="cpu").probabilities)


def test_a_text_file_is_refused(model, tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with (tmp_path / "a.txt").open() as stream, pytest.raises(TypeError, match="'rb'"):
        predict(model, stream)
    with pytest.raises(TypeError, match=r"image 1: .*StringIO gave str, expected bytes"):
        predict(model, [np.zeros((28, 28), np.uint8), io.StringIO("x")])


COLUMNS = {
    "generator": lambda paths: (path for path in paths),
    "iterator": iter,
    "tuple": tuple,
    "series": lambda paths: pd.Series([str(path) for path in paths], index=range(9, 14)),
    "series of paths": pd.Series,
    "series of contents": lambda paths: pd.Series([path.read_bytes() for path in paths]),
    "array of text": lambda paths: np.array([str(path) for path in paths]),
    "array of objects": lambda paths: np.array(paths, dtype=object),
    "map": lambda paths: map(Image.open, paths),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_collections_of_images(kind, model, paths, expected):
    found = predict(model, COLUMNS[kind](paths), device="cpu", batch_size=2)
    agree(found, expected)
    if kind not in ("series of contents", "map"):
        assert [one.source for one in found] == [str(path) for path in paths]


def test_an_iterator_is_read_as_it_is_needed(model, paths):
    taken = []

    def endless():
        for index in range(1000):
            taken.append(index)
            yield paths[0] if index < 4 else "gone.png"

    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        predict(model, endless(), device="cpu", batch_size=4)
    assert len(taken) <= 8
    assert predict(model, iter([])) == []


def test_a_buffer_that_is_used_again_is_read_before_it_changes(model, data, expected):
    """As a camera gives its images: all in the same memory."""

    def frames():
        frame = np.empty((28, 28, 3), np.uint8)
        for image in data.test.images[:5]:
            frame[:] = image.permute(1, 2, 0)
            yield frame

    agree(predict(model, frames(), device="cpu"), expected)


def test_an_iterator_may_give_folders_and_broken_images(model, paths, expected, tmp_path):
    broken = paths[0].read_bytes()[:100]
    with pytest.warns(UserWarning, match="1 of 6 images were skipped"):
        found = predict(model, iter([broken, tmp_path]), device="cpu", on_error="skip")
    agree(found, expected)
    assert [(failure.source, failure.index) for failure in found.failures] == [("image 0", 0)]
    with pytest.raises(DatasetError, match="cannot read image 1 as an image"):
        predict(model, [paths[0], broken])
    lazy = Image.open(io.BytesIO(paths[0].read_bytes()[:-60]))
    with pytest.warns(UserWarning, match="1 of 2 images"):
        both = predict(model, [lazy, paths[0]], on_error="skip").outcomes()
    assert list(map(type, both)) == [Failure, Prediction]


def test_a_split_is_many_images(model, data, monkeypatch):
    expected = [one.probabilities for one in predict(model, data.test.images, device="cpu")]
    monkeypatch.setattr("medzoo.prediction.sources._CHUNK", 2)
    agree(predict(model, data.test, device="cpu", batch_size=4), expected)


def test_medmnists_arrays_of_gray_images(gray):
    split, model = gray
    expected = [one.probabilities for one in predict(model, split, device="cpu")]
    stack = split.images[:, 0]
    for images in (stack, stack.numpy(), stack.numpy() / 255, stack[:2].numpy()):
        agree(predict(model, images, device="cpu"), expected[: len(images)])
    for images in (split.images, split.images.permute(0, 2, 3, 1)):
        agree(predict(model, images, device="cpu"), expected)
        agree(predict(model, images.numpy(), device="cpu"), expected)


def test_three_gray_images_are_not_taken_for_one_in_colour(gray, model):
    three = gray[0].images[:3, 0]
    for images in (three, three.numpy()):
        with pytest.raises(ValueError, match=r"3 gray images .* or one image"):
            predict(gray[1], images)
        with pytest.raises(ValueError, match=r"3 gray images .* or one image"):
            explain("simple_cnn.pneumoniamnist", images)
    expected = [one.probabilities for one in predict(gray[1], gray[0])]
    agree(predict(gray[1], three[:, None]), expected[:3])
    assert isinstance(predict(model, three), Prediction)  # a tensor for a model of RGB images


@pytest.mark.parametrize(
    "images",
    [
        pd.DataFrame({"path": ["a.png"]}),
        {"a": "a.png"},
        {"a.png"},
        7,
        None,
        synthetic("dermamnist", n_train=1, n_val=1, n_test=1),
    ],
    ids=lambda images: type(images).__name__,
)
def test_what_is_not_images_is_refused(images, model):
    with pytest.raises(TypeError, match=f"cannot predict for a {type(images).__name__}; give a f"):
        predict(model, images)


def test_elements_that_are_not_images_are_named(model, paths):
    with pytest.raises(TypeError, match="image 1: float is not an image"):
        predict(model, pd.Series([str(paths[0]), np.nan]))
    with pytest.raises(TypeError, match="image 0: tuple is not an image"):
        predict(model, [(1, 2)])


@pytest.mark.parametrize("kind", ["Subset", "TensorDataset", "ConcatDataset", "DataLoader"])
def test_pytorchs_data_sets_and_loaders_say_what_to_give_instead(kind, model, data):
    pairs = torch_data.TensorDataset(data.test.images, data.test.labels)
    given = {
        "Subset": torch_data.Subset(data.test, [0, 1]),
        "TensorDataset": pairs,
        "ConcatDataset": torch_data.ConcatDataset([pairs]),
        "DataLoader": torch_data.DataLoader(pairs, batch_size=4),
    }[kind]
    with pytest.raises(TypeError, match=rf"for a {kind}, .*\[image for image, _ in dataset\]"):
        predict(model, given)


def test_what_the_message_about_data_sets_says_works(model, data, expected):
    agree(predict(model, data.test.subset([0, 2])), [expected[0], expected[2]])
    dataset = torch_data.Subset(data.test, [0, 2])
    agree(predict(model, [image for image, _ in dataset]), [expected[0], expected[2]])
    one_by_one = torch_data.DataLoader(list(data.test.images[:2]), batch_size=None)
    agree(predict(model, one_by_one), expected[:2])


def test_12_bit_scans_give_one_warning_for_a_call(gray, tmp_path):
    scan = np.linspace(0, 4095, 28 * 28).astype(np.uint16).reshape(28, 28)
    for index in range(3):
        Image.fromarray(np.roll(scan, index)).save(tmp_path / f"{index}.png")
    for images in (tmp_path, sorted(tmp_path.iterdir()), [scan, scan], tmp_path / "0.png", scan):
        with pytest.warns(UserWarning, match="look like 12-bit") as caught:
            predict(gray[1], images, device="cpu")
        assert [one.filename for one in caught] == [__file__]
    with pytest.warns(UserWarning, match="look like 12-bit") as caught:
        explain("simple_cnn.pneumoniamnist", scan)
    assert [one.filename for one in caught] == [__file__]


def test_a_model_may_be_a_name(paths):
    name = "simple_cnn.dermamnist"
    model = medzoo.create_model(name, pretrained=True)
    expected = predict(model, paths[0]).probabilities
    assert predict(name, paths[0]).probabilities == pytest.approx(expected)
    heat = explain(name, paths[0].read_bytes()).heatmap
    assert np.array_equal(heat, explain(model, paths[0]).heatmap)
    with pytest.raises(ValueError, match="did you mean 'simple_cnn"):
        predict("simple_cn.dermamnist", paths[0])
