import string
from collections import defaultdict

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medzoo import Dataset, DatasetError, load_dataset
from medzoo.images.file import read_image
from tests.datasets.own_images import class_counts

from .conftest import FILES

LABELS = ["mole", "melanoma"] * 6
SPLITS = ["train"] * 6 + ["val"] * 3 + ["test"] * 3


def test_labels_are_names_and_splits_those_of_the_table(write, folder):
    data = load_dataset(write(label=LABELS, split=SPLITS, age=range(FILES)), size=6)
    assert data.info.name == "moles"
    assert data.info.classes == ("melanoma", "mole")
    assert class_counts(data) == {"train": [3, 3], "val": [1, 2], "test": [2, 1]}
    first = torch.tensor(read_image(folder / "9.png"))
    assert torch.equal(data.test.images[0, 0], first)
    assert data.provenance.file == "moles.csv"
    assert data.title == "moles (own data)"


def test_splits_have_the_names_of_folders_and_some_may_be_missing(write):
    names = ["Train", "training"] * 3 + ["Validation", "dev", "valid"] + ["TEST", "testing", "test"]
    data = Dataset.from_table(write(label=LABELS, split=names))
    assert class_counts(data) == {"train": [3, 3], "val": [1, 2], "test": [2, 1]}
    assert class_counts(Dataset.from_table(write(label=LABELS, split=["test"] * FILES))) == {
        "test": [6, 6]
    }


def test_without_splits_the_seed_decides(write):
    table = write(label=LABELS)
    data = Dataset.from_table(table, fractions=(0.5, 0.25, 0.25))
    assert sum(map(sum, class_counts(data).values())) == FILES
    assert min(map(min, class_counts(data).values())) >= 1
    assert data.provenance.note == "own data; split with seed 0"


def test_columns_of_zeros_and_ones_are_labels(write):
    effusion, mass = [0, 1] * 6, ["1.0", "1.0", "0", "1"] * 3
    data = Dataset.from_table(write(effusion=effusion, mass=mass, split=SPLITS))
    assert data.info.task == "multi-label, binary-class"
    assert data.info.classes == ("effusion", "mass")
    assert data.train.labels.tolist() == [[0, 1], [1, 1], [0, 0], [1, 1], [0, 1], [1, 1]]
    table = write(effusion=effusion, mass=mass, age=range(FILES), split=SPLITS)
    chosen = Dataset.from_table(table, label=["mass", "effusion"])
    assert chosen.info.classes == ("mass", "effusion")
    assert torch.equal(chosen.val.labels, data.val.labels.flip(1))
    assert load_dataset(table, classes=["mass", "effusion"]).info.classes == ("mass", "effusion")


def test_one_hot_columns_are_classes_named_by_the_columns(write):
    columns = {"MEL": [1, 0, 0] * 4, "NV": [0, 1, 0] * 4, "BCC": [0, 0, 1] * 4}
    table = write(**columns)
    with pytest.warns(UserWarning, match=r"exactly one of 3 labels \(MEL, NV, BCC\)") as caught:
        data = Dataset.from_table(table)
    assert caught[0].filename == __file__
    assert (data.info.task, data.info.classes) == ("multi-class", ("MEL", "NV", "BCC"))
    again = load_dataset(table, task="multi-class")
    assert again.info == data.info
    assert sorted(torch.cat([s.labels for s in data.splits.values()]).tolist()) == sorted(
        [0, 1, 2] * 4
    )
    several = Dataset.from_table(table, task="multi-label, binary-class")
    assert several.train.labels.ndim == 2


def test_columns_can_have_any_name(write, folder):
    names = [f"{number}.png" for number in range(FILES)]
    table = write(path=names, dx=LABELS, fold=SPLITS, lesion=range(FILES))
    data = Dataset.from_table(table, root=folder, label="dx", split="fold", group="lesion")
    assert data.train.labels.tolist() == [1, 0, 1, 0, 1, 0]
    assert [len(split) for split in data.splits.values()] == [6, 3, 3]
    with pytest.raises(DatasetError, match="unknown column 'lesions'; did you mean 'lesion'"):
        Dataset.from_table(table, root=folder, label="dx", group="lesions")
    with pytest.raises(DatasetError, match=r"0\.png does not exist"):
        Dataset.from_table(table, label="dx", split="fold")


def test_tables_of_spreadsheets_with_a_mark_and_blanks_are_read(write):
    table = write(label=[f" {name} " for name in LABELS], split=SPLITS, encoding="utf-8-sig")
    table.write_bytes(table.read_bytes() + b"\r\n")
    assert Dataset.from_table(table).info.classes == ("melanoma", "mole")


def test_numbers_are_sorted_by_value_and_names_by_their_letters(write):
    grades = ["10", "9", "2"] * 4
    assert Dataset.from_table(write(label=grades)).info.classes == ("2", "9", "10")
    assert Dataset.from_table(write(label=grades), ["9", "2", "10"]).info.classes[0] == "9"


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(string.ascii_lowercase[:9]), min_size=FILES, max_size=FILES))
def test_a_group_is_never_in_two_splits(write, folder, groups):
    table = write(label=["a"] * 6 + ["b"] * 6, group=groups)
    distinct = [len({*groups[:6]}), len({*groups[6:]})]
    if min(distinct) < 3:
        with pytest.raises(DatasetError, match="has too few groups of images"):
            Dataset.from_table(table)
        return
    try:
        data = Dataset.from_table(table, size=6)
    except DatasetError as error:  # groups of both classes may leave none for a split
        assert "has no image" in str(error)  # noqa: PT017
        return
    number_of = {read_image(folder / f"{number}.png").tobytes(): number for number in range(FILES)}
    found = defaultdict(set)
    for name, split in data.splits.items():
        for image in split.images:
            found[groups[number_of[image.numpy().tobytes()]]].add(name)
    assert sum(map(len, data.splits.values())) == FILES
    assert all(len(own) == 1 for own in found.values())


@pytest.mark.parametrize(
    "column",
    ["patient_id", "Patient ID", "patient", "SUBJECT", "subject_id", "lesion_id", "Study", "MRN"],
)
def test_a_column_of_patients_is_the_group_by_default(write, column):
    patients = [f"p{number // 3}" for number in range(FILES)]
    table = write(label=["a", "b", "a"] * 4, **{column: patients})
    data = Dataset.from_table(table, fractions=(0.5, 0.25, 0.25))
    assert sorted(map(len, data.splits.values())) == [3, 3, 6]
    assert all(len(split) % 3 == 0 for split in data.splits.values())
    assert data.provenance.note.endswith(f"grouped by {column}")
    for nothing in (False, ""):
        free = Dataset.from_table(table, group=nothing)
        assert "grouped" not in free.provenance.note
    parted = write(label=LABELS, split=SPLITS, **{column: ["same"] * FILES})
    with pytest.raises(DatasetError, match=r"more than one split.*'same'.*group=False accepts"):
        Dataset.from_table(parted)


def test_every_image_without_a_group_is_counted_and_the_first_named(write):
    table = write(label=LABELS, patient=["", *["p"] * 10, ""])
    with pytest.raises(DatasetError, match=r"line 2: patient is empty \(and 1 more\)"):
        Dataset.from_table(table)


def test_several_columns_of_patients_are_an_error_that_names_the_choice(write):
    table = write(label=LABELS, patient_id=range(FILES), lesion_id=range(FILES))
    with pytest.raises(DatasetError, match=r"patient_id, lesion_id could.*group='patient_id'"):
        Dataset.from_table(table)
    chosen = Dataset.from_table(table, group="lesion_id")
    assert chosen.provenance.note.endswith("grouped by lesion_id")
    assert Dataset.from_table(table, group=False).provenance.note.endswith("seed 0")


def test_a_column_of_patients_is_not_a_label_and_one_of_zeros_and_ones_not_a_group(write):
    table = write(lesion=[0, 1] * 6, mass=[1, 1, 0] * 4, patient=range(FILES))
    for group in (None, False):
        assert Dataset.from_table(table, group=group).info.classes == ("lesion", "mass")


def test_groups_that_cross_the_tables_own_splits_are_an_error(write):
    patients = [f"p{number % 7}" for number in range(FILES)]
    table = write(label=LABELS, split=SPLITS, group=patients)
    with pytest.raises(DatasetError, match=r"5 groups are in more than one.*'p0' in train and val"):
        Dataset.from_table(table)


def test_copies_in_two_groups_that_are_parted_are_an_error(write, tmp_path, folder):
    copy = tmp_path / "copy.png"
    copy.write_bytes((folder / "0.png").read_bytes())
    paths = [folder / f"{number}.png" for number in range(FILES - 1)] + [copy]
    labels = [*LABELS[:-1], LABELS[0]]
    table = write(path=paths, label=labels, split=SPLITS, group=range(FILES))
    with pytest.raises(DatasetError, match=r"0\.png \(train\) = .*copy\.png \(test\).*one group"):
        Dataset.from_table(table)


def changed(values, place, value):
    return [*values[:place], value, *values[place + 1 :]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": changed(LABELS, 4, "")}, "line 6: label is empty"),
        ({"label": LABELS, "split": changed(SPLITS, 2, "tran")}, "line 4: unknown split 'tran'"),
        ({"label": LABELS, "split": changed(SPLITS, 2, "")}, "line 4: split is empty"),
        (
            {"label": LABELS, "group": changed(LABELS, 2, "")},
            "line 4: group is empty; .*group=False",
        ),
        (
            {"label": changed(LABELS, 3, "melanom")},
            "'melanom' has too few different images .1.*or did you mean 'melanoma'",
        ),
        ({"label": changed(LABELS, 3, "Mole")}, "'Mole' and 'mole' differ only in case"),
        ({"a": [0, 1] * 6, "age": [0, 1, 63] * 4}, "line 4: age is '63', expected 0 or 1"),
        ({"a": [0, 1] * 6, "b": [0] * 12}, "'b' has too few different images .0."),
        ({"image": LABELS, "path": LABELS, "label": LABELS}, "is already listed in line 2"),
        ({}, "there is no label column"),
    ],
)
def test_invalid_tables_give_one_clear_error(write, columns, message):
    with pytest.raises(DatasetError, match=message):
        Dataset.from_table(write(**columns))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it has no rows"),
        ("path,label\n", "it has no rows"),
        ("scan;label\na.png;mole\n", r"no column of images.*\(found scan, label\)"),
        ("path,label\na.png\n", "line 2: 1 values, expected 2"),
        ("path,label\na.png,mole, the large one\n", "line 2: 3 values, expected 2"),
        ("path,path\na.png,b\n", "two columns have the same name"),
        ('path,label\n"a.png,mole\n', "line 2: unexpected end of data"),
        (b"path,label\n\xff\xfe,mole\n", "line 2: .*can't decode.*as UTF-8"),
    ],
)
def test_damaged_tables_give_one_clear_error(tmp_path, text, message):
    table = tmp_path / "moles.csv"
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DatasetError, match=message) as caught:
        load_dataset(table)
    assert str(table) in str(caught.value)


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(DatasetError, match="No such file"):
        load_dataset(tmp_path / "moles.csv")


def test_classes_that_the_table_does_not_know(write):
    with pytest.raises(DatasetError, match="unknown class 'mole'; did you mean 'moles'"):
        Dataset.from_table(write(label=LABELS), ["moles", "melanoma"])
    with pytest.raises(DatasetError, match=r"class 'nevus' has too few different images \(0\)"):
        Dataset.from_table(write(label=LABELS), ["mole", "melanoma", "nevus"])


FINDINGS = ["Mass|Effusion", "No Finding", "Mass", "Effusion"] * 3


def test_lists_of_labels_make_a_set_multi_label(write):
    data = Dataset.from_table(write(label=FINDINGS, split=SPLITS))
    assert data.info.task == "multi-label, binary-class"
    assert data.info.classes == ("Effusion", "Mass")
    assert data.train.labels.tolist() == [[1, 1], [0, 0], [0, 1], [1, 0], [1, 1], [0, 0]]
    other = Dataset.from_table(write(label=FINDINGS, split=SPLITS), ["Mass", "Effusion"])
    assert torch.equal(other.test.labels, data.test.labels.flip(1))


def test_no_finding_is_a_label_only_if_it_is_one_of_the_classes(write):
    data = Dataset.from_table(
        write(label=FINDINGS, split=SPLITS), ["No Finding", "Mass", "Effusion"]
    )
    assert data.train.labels.tolist()[:2] == [[0, 1, 1], [1, 0, 0]]


def test_the_task_decides_whether_labels_are_lists(write):
    single = ["No Finding", "Mass", "Effusion"] * 4
    assert Dataset.from_table(write(label=single)).info.task == "multi-class"
    data = Dataset.from_table(write(label=single), task="multi-label, binary-class")
    assert data.info.classes == ("Effusion", "Mass")
    assert sum(split.labels.sum().item() for split in data.splits.values()) == 8
    pairs = ["a|b", "a", "b"] * 4
    assert Dataset.from_table(write(label=pairs), task="multi-class").info.classes[1] == "a|b"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("Mass|", "line 5: 'Mass|' contains an empty label"),
        ("Mass|Mass", "line 5: .*or one twice"),
        ("Mass|No Finding", "line 5: .*contradict"),
        ("Mass|mass", "differ only in case"),
        ("", "line 5: label is empty"),
    ],
)
def test_lists_of_labels_that_do_not_fit(write, cell, message):
    with pytest.raises(DatasetError, match=message.replace("|", r"\|")):
        Dataset.from_table(write(label=changed(FINDINGS, 3, cell)))


def test_lists_without_any_label_are_an_error(write):
    with pytest.raises(DatasetError, match="contains no label other than 'No Finding'"):
        Dataset.from_table(write(label=["No Finding"] * FILES), task="multi-label, binary-class")


def test_names_of_columns_are_found_in_any_case(write, folder):
    paths = [f"{number}.png" for number in range(FILES)]
    table = write(Path=paths, LABEL=LABELS, Split=SPLITS, LesionID=range(FILES))
    data = Dataset.from_table(table, root=folder)
    assert [len(split) for split in data.splits.values()] == [6, 3, 3]
    assert data.info.classes == ("melanoma", "mole")
    chosen = {"image": "PATH", "label": "label", "split": "SPLIT", "group": "lesionid"}
    same = Dataset.from_table(table, root=folder, **chosen)
    assert same.provenance.md5 == data.provenance.md5
    columns = {"MEL": [1, 0] * 6, "nv": [1, 1, 0] * 4}
    assert Dataset.from_table(write(**columns), label=["NV", "mel"]).info.classes == ("nv", "MEL")


def test_one_hot_columns_of_true_and_false(write):
    table = write(mel=["TRUE", "FALSE"] * 6, nv=["False", "True"] * 6)
    data = Dataset.from_table(table, task="binary-class")
    assert data.info.classes == ("mel", "nv")


@pytest.mark.parametrize("name", ["dx", "Diagnosis", "class", "target", "Finding Labels"])
def test_usual_names_of_labels_are_recognised(write, name):
    table = write(**{name: LABELS, "age": range(FILES)})
    assert load_dataset(table).info.classes == ("melanoma", "mole")


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"dx": LABELS, "target": LABELS}, {}, "dx, target could each be the label.*label='dx'"),
        ({"Label": LABELS, "LABEL": LABELS}, {}, "Label, LABEL could each be the label"),
        ({"label": LABELS, "Split": SPLITS, "SPLIT": SPLITS}, {}, "'split' could be each of"),
        ({"Dx": LABELS, "DX": LABELS}, {"label": "dx"}, "'dx' could be each of Dx, DX"),
        ({"image_id": range(12), "img": range(12), "label": LABELS}, {}, "image_id, img could"),
        ({"mass": [0, 1] * 6, "target": [0, 1] * 6}, {}, "target could be the class, or one of"),
        ({"mass": [0, 1] * 6}, {}, "mass is the only column of labels; choose label='mass'"),
        ({"mass": [0, 1] * 6}, {"label": ["mass"]}, "choose label='mass'"),
        ({"a": [0, 1] * 6}, {"label": "a", "task": "multi-label, binary-class"}, r"label=\['a'\]"),
        (
            {"a": [0, 1] * 6, "b": [0, 1, 1] * 4},
            {"label": ["a", "b"], "classes": ["a"]},
            r"classes=\['a'\] and label=\['a', 'b'\] must name the same columns",
        ),
    ],
)
def test_columns_that_could_be_meant_in_several_ways_are_an_error(write, columns, options, message):
    with pytest.raises(DatasetError, match=message):
        Dataset.from_table(write(**columns), **options)


def test_the_classes_decide_between_columns_of_labels_and_of_names(write):
    columns = {"mass": [0, 1] * 6, "edema": [0, 1, 1] * 4, "diagnosis": LABELS}
    for more in ({}, {"target": LABELS}):
        data = load_dataset(write(**columns, **more), classes=["mass", "edema"])
        assert data.info.task == "multi-label, binary-class"
    assert load_dataset(write(**columns)).info.classes == ("melanoma", "mole")


def test_one_label_is_a_column_or_two_classes(write):
    table = write(mass=[0, 1] * 6)
    one = Dataset.from_table(table, task="multi-label, binary-class")
    assert one.info.classes == ("mass",)
    assert one.train.labels.shape[1] == 1
    assert Dataset.from_table(table, label="mass").info.classes == ("0", "1")


@pytest.mark.parametrize("name", ["set", "subset", "partition", "fold", "usage", "dataset_split"])
def test_splits_in_a_column_of_another_name_are_not_ignored(write, name):
    table = write(label=LABELS, **{name: SPLITS})
    message = rf"{name} contains .*train, val, test.*split={name!r}.*rename it to split.*or drop it"
    with pytest.raises(DatasetError, match=message):
        load_dataset(table)
    data = Dataset.from_table(table, split=name)
    assert [len(part) for part in data.splits.values()] == [6, 3, 3]
    labels = {"mass": [0, 1] * 6, "edema": [0, 1, 1] * 4}
    with pytest.raises(DatasetError, match=message):
        load_dataset(write(**labels, **{name: SPLITS}))


def test_other_columns_may_contain_names_of_splits(write):
    splits = {"split": SPLITS, "set": ["train"] * 12}
    assert len(Dataset.from_table(write(label=LABELS, **splits)).test) == 3
    note = ["", "test"] * 6  # neither a name of a split for each image, nor several of them
    assert "split with seed" in load_dataset(write(label=LABELS, note=note)).provenance.note
    with pytest.raises(DatasetError, match=r"set .*split='set'"):
        load_dataset(write(label=LABELS, set=[*SPLITS[:-1], ""]))
    named = ["train", "test"] * 6
    assert load_dataset(write(label=named)).info.classes == ("test", "train")
