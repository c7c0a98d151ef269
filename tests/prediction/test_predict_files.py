"""Many files: where they are found, how they are read, and what becomes of broken ones."""

import threading
import warnings
from importlib import import_module

import numpy as np
import pytest
import torch
from PIL import Image

from medzoo.errors import DatasetError
from medzoo.prediction import Failure, Prediction, Predictions, iter_predictions, predict
from medzoo.prediction import loading as reading
from tests.evaluation.test_evaluate import Net

call = import_module("medzoo.prediction.predict")  # `predict` is also a function


@pytest.fixture
def folder(data, tmp_path):
    """Six images at several depths, some hidden."""
    names = ["b.png", "a.png", "deep/er/c.png", "deep/no-ending", ".hidden.png", ".dir/x.png"]
    for name, image in zip(names, data.test.images, strict=False):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path, format="PNG")
    return tmp_path


VISIBLE = ["a.png", "b.png", "deep/er/c.png", "deep/no-ending"]


def test_a_folder_gives_its_images_sorted(model, folder):
    found = predict(model, folder, device="cpu", batch_size=3)
    assert isinstance(found, Predictions)
    assert [one.source for one in found] == [str(folder / name) for name in VISIBLE]
    for one in found:
        alone = predict(model, one.source, device="cpu")
        assert alone.probabilities == pytest.approx(one.probabilities)
        assert (alone.labels, alone.source) == (one.labels, one.source)
    assert found.failures == ()
    assert found[0].to_dict()["source"] == str(folder / "a.png")


@pytest.mark.parametrize("broken", [[], [0], [0, 1, 2], [2, 5], [3, 4, 5], [4], range(6)])
def test_one_after_the_other_is_the_same(broken, model, folder, monkeypatch):
    (folder / "broken.png").write_text("no image")
    paths = [folder / ("broken.png" if number in broken else "a.png") for number in range(6)]
    options = {"device": "cpu", "batch_size": 1, "on_error": "skip", "top_k": 2}
    monkeypatch.setattr(call, "_BATCHES", 2)
    found = list(iter_predictions(model, iter(paths), **options))
    assert [isinstance(one, Failure) for one in found] == [n in broken for n in range(6)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found == predict(model, paths, **options).outcomes()


def test_the_files_of_later_predictions_are_not_read(model, folder, monkeypatch):
    monkeypatch.setattr(call, "_BATCHES", 1)
    paths = [str(folder / "a.png")] * 3 + ["nowhere.png"] * 3
    found = iter_predictions(model, paths, device="cpu", batch_size=1)
    assert [next(found).source for _ in range(2)] == paths[:2]
    found.close()
    with pytest.raises(ValueError, match="on_error"):
        iter_predictions(model, paths, on_error="ignore")


def test_the_next_batch_is_read_while_the_model_computes(model, folder, monkeypatch):
    read = threading.Semaphore(0)
    load = reading.load_image

    def counted(*arguments):
        image = load(*arguments)
        read.release()
        return image

    def waits_for_the_next_batch(batch):
        batches.append(batch)
        expected = (5, 1)[len(batches) - 1]  # its own images, and all but one of the next batch
        assert all(read.acquire(timeout=20) for _ in range(expected))
        return model(batch)

    batches = []
    monkeypatch.setattr(reading, "load_image", counted)
    found = predict(waits_for_the_next_batch, [folder / "a.png"] * 6, batch_size=3, spec=model.spec)
    assert (len(found), len(batches)) == (6, 2)


def test_readers_leave_the_processors_to_the_model(model, folder, monkeypatch, set_threads):
    threads, load = set(), reading.load_image

    def load_image(*arguments):
        threads.add(torch.get_num_threads())
        return load(*arguments)

    monkeypatch.setattr(reading, "load_image", load_image)
    set_threads(2)
    predict(model, folder, device="cpu")
    assert (threads, torch.get_num_threads()) == ({1}, 2)


def test_links_to_folders_are_followed_but_not_in_circles(model, folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("linked")
    (outside / "links").mkdir()
    (outside / "links" / "there").symlink_to(folder)
    (folder / "back").symlink_to(outside)
    (folder / "deep" / "itself").symlink_to(folder / "deep")
    found = predict(model, outside, device="cpu")
    assert [one.source for one in found] == [f"{outside}/links/there/{name}" for name in VISIBLE]


def test_what_is_not_an_image_in_a_folder_is_named_in_one_warning(model, folder):
    for name in ("labels.csv", "notes.txt", "deep/scan.nii.gz", "Thumbs.db", ".DS_Store"):
        (folder / name).write_bytes(b"no image")
    (folder / "deep" / "gone.png").symlink_to(folder / "nowhere.png")
    with pytest.warns(UserWarning, match="not read as images") as warned:
        found = predict(model, folder, device="cpu")
    assert [one.source for one in found] == [str(folder / name) for name in VISIBLE]
    assert [one.filename for one in warned] == [__file__]
    assert str(warned[0].message) == (
        f"{folder}: not read as images: broken links (1, e.g. deep/gone.png): restore their "
        "targets; volumes (1, e.g. deep/scan.nii.gz): save their slices as PNG, or pass them as "
        "arrays; other files (2, e.g. labels.csv)"
    )


def test_a_folder_of_other_files_is_an_error_that_names_them(model, tmp_path):
    for name in ("a.npy", "b.npy"):
        (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(
        FileNotFoundError, match=r"no image in .*but NumPy files \(2, e\.g\. a\.npy"
    ):
        predict(model, tmp_path, device="cpu")


def test_a_broken_link_that_fits_a_pattern_is_reported(model, folder):
    (folder / "c.png").symlink_to(folder / "nowhere.png")
    with pytest.warns(UserWarning, match=r"1 of 3 images were skipped.*c\.png.*does not exist"):
        found = predict(model, str(folder / "*.png"), device="cpu")
    assert [one.source for one in found.failures] == [str(folder / "c.png")]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.png", ["a.png", "b.png"]),
        ("**/*.png", ["a.png", "b.png", "deep/er/c.png"]),
        ("deep/*", ["deep/no-ending"]),
        ("[ab].pn?", ["a.png", "b.png"]),
    ],
)
def test_a_pattern_gives_what_fits(pattern, names, model, folder):
    found = predict(model, f"{folder}/{pattern}", device="cpu")
    assert [one.source for one in found] == [str(folder / name) for name in names]


def test_a_list_may_mix_everything(model, data, folder):
    mixed = [folder / "b.png", data.test.images[2], f"{folder}/a*", folder / "deep"]
    found = predict(model, mixed, device="cpu")
    names = ["b.png", None, "a.png", "deep/er/c.png", "deep/no-ending"]
    assert [one.source for one in found] == [name and str(folder / name) for name in names]
    assert found[1].probabilities == pytest.approx(found[3].probabilities)


def test_a_file_that_is_named_like_a_pattern_is_a_file(model, folder):
    (folder / "a.png").rename(folder / "a[1].png")
    assert isinstance(predict(model, folder / "a[1].png", device="cpu"), Prediction)


def test_a_name_that_is_too_long_is_one_error(model, folder):
    for name in ("a" * 5000, "a*" * 2500, f"{folder}/{'a' * 300}.png"):
        with pytest.raises((DatasetError, FileNotFoundError)) as caught:
            predict(model, name)
        assert len(str(caught.value)) < 6000
    with pytest.raises(DatasetError, match=r"'aaa.*name too long; check the path"):
        predict(model, "a" * 5000)
    with pytest.warns(UserWarning, match="1 of 2 images were skipped"):
        found = predict(model, [folder / "a.png", "a" * 5000], on_error="skip", device="cpu")
    assert len(found) == 1


def test_nothing_found_is_an_error(model, tmp_path):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "*.png"):
        with pytest.raises(FileNotFoundError, match="found no image in"):
            predict(model, path)


def test_broken_files_are_skipped_and_reported_once(model, folder):
    (folder / "aa.png").write_bytes((folder / "a.png").read_bytes()[:300])
    (folder / "z.jpg").write_text("no image")
    with pytest.warns(UserWarning, match=r"2 of 6 images were skipped.*aa\.png") as warned:
        found = predict(model, folder, device="cpu", batch_size=1)
    assert len(warned) == 1
    assert [one.source for one in found] == [str(folder / name) for name in VISIBLE]
    assert [failure.source for failure in found.failures] == [
        str(folder / "aa.png"),
        str(folder / "z.jpg"),
    ]
    assert "unknown format" in found.failures[1].error
    kinds = [type(outcome) for outcome in found.outcomes()]
    assert kinds == [Prediction, Failure, *[Prediction] * 3, Failure]
    assert [outcome.source for outcome in found.outcomes()] == sorted(
        outcome.source for outcome in found.outcomes()
    )


def test_whether_to_skip_can_be_said(model, folder):
    broken = folder / "z.jpg"
    broken.write_text("no image")
    with pytest.raises(DatasetError, match=r"z\.jpg"):
        predict(model, folder, on_error="raise", device="cpu")
    with pytest.raises(DatasetError, match=r"z\.jpg"):
        predict(model, [folder / "a.png", broken], device="cpu")
    listed = [broken, folder / "a.png", folder / "nowhere.png"]
    with pytest.warns(UserWarning, match="2 of 3 images"):
        found = predict(model, listed, on_error="skip", device="cpu")
    assert [one.source for one in found] == [str(folder / "a.png")]
    assert [failure.index for failure in found.failures] == [0, 2]


def test_only_what_was_found_is_skipped_by_default(model, folder):
    broken = folder / "z.jpg"
    broken.write_text("no image")
    with pytest.warns(UserWarning, match=r"1 of 6 images were skipped"):
        found = predict(model, [folder, folder / "a.png"], device="cpu")
    assert len(found) == 5
    with pytest.raises(DatasetError, match=r"z\.jpg"):
        predict(model, [broken, folder], device="cpu")


def test_nothing_readable_gives_an_empty_list(model, folder):
    (folder / "z.jpg").write_text("no image")
    with pytest.warns(UserWarning, match="1 of 1 images"):
        found = predict(model, f"{folder}/*.jpg", device="cpu")
    assert found == []
    assert len(found.failures) == 1


def test_no_more_is_read_than_the_next_batches_need(data, model, folder, monkeypatch):
    count, batch_size = 40, 4
    lock, read, furthest = threading.Lock(), 0, 0

    def counted(image, *_):
        nonlocal read
        with lock:
            read += 1
        return image

    class Counting(Net):
        done = 0

        def forward(self, batch):
            nonlocal furthest
            furthest = max(furthest, read - self.done)
            Counting.done += len(batch)
            return super().forward(batch)

    monkeypatch.setattr(reading, "load_image", counted)
    images = [np.zeros((28, 28, 3), np.uint8)] * count
    assert len(predict(Counting(data.info), images, batch_size=batch_size, device="cpu")) == count
    assert read == Counting.done == count
    assert furthest <= 3 * batch_size


@pytest.mark.parametrize("patience", [0, 60])
def test_a_long_reading_shows_how_far_it_is(patience, model, data, monkeypatch, capsys):
    monkeypatch.setattr(reading, "_PATIENCE", patience)
    predict(model, data.test.images, device="cpu")
    assert not capsys.readouterr().err  # no person is watching
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    predict(model, data.test.images, device="cpu")
    assert ("0/9" in capsys.readouterr().err) == (patience == 0)


def test_predictions_do_not_depend_on_the_batch_size(model, folder):
    apart, together = (predict(model, folder, device="cpu", batch_size=n) for n in (1, 64))
    for one, other in zip(apart, together, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)
    assert torch.is_grad_enabled()
