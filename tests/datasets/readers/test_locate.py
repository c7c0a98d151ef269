import pytest

from medzoo import Dataset, DatasetError, load_dataset
from tests.datasets.own_images import write_image

IDS = [f"ISIC_00{number:02}" for number in range(12)]
LABELS = ["nv", "mel"] * 6


@pytest.fixture
def ham(tmp_path):
    """Twelve images in two folders, as HAM10000 has them."""
    for number, name in enumerate(IDS):
        write_image(tmp_path / f"images_part_{1 + number % 2}" / f"{name}.jpg", number)
    return tmp_path


def table(folder, names, **columns):
    columns = {"image_id": names, "dx": LABELS} | columns
    rows = [columns, *zip(*columns.values(), strict=True)]
    path = folder / "metadata.csv"
    path.write_text("\n".join(",".join(map(str, row)) for row in rows))
    return path


def test_ids_are_found_in_the_folders_beside_the_table(ham):
    lesions = [f"HAM_{number // 2}" for number in range(12)]
    metadata = table(ham, IDS, lesion_id=lesions, age=[f"{number}.0" for number in range(12)])
    data = load_dataset(metadata, size=8)
    assert data.info.classes == ("mel", "nv")
    assert data.provenance.note == "own data; split with seed 0; grouped by lesion_id"
    assert sum(map(len, data.splits.values())) == 12
    paths = [next(ham.rglob(f"{name}.jpg")) for name in IDS]
    by_path = load_dataset(table(ham, paths, lesion_id=lesions), size=8)
    assert by_path.provenance.md5 == data.provenance.md5


def test_file_names_are_found_in_several_folders(ham, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("tables")
    expected = Dataset.from_table(table(ham, IDS))
    metadata = table(elsewhere, [f"{name}.jpg" for name in IDS])
    parts = [ham / "images_part_1", str(ham / "images_part_2")]
    for root in (ham, parts, [ham, *parts]):
        data = Dataset.from_table(metadata, root=root)
        assert data.provenance.md5 == expected.provenance.md5
    with pytest.raises(DatasetError, match=r"ISIC_0001\.jpg does not exist"):
        Dataset.from_table(metadata, root=parts[:1])
    (parts[0] / "ISIC_0000.jpg").unlink()
    with pytest.warns(UserWarning, match="1 of 12 images .*cannot be read") as caught:
        data = Dataset.from_table(table(elsewhere, IDS), root=ham, on_error="skip")
    assert caught[0].filename == __file__
    assert sum(map(len, data.splits.values())) == 11


def test_a_name_of_several_files_is_an_error_unless_its_folder_is_given(ham):
    write_image(ham / "masks" / "ISIC_0003.png", 99)
    with pytest.raises(
        DatasetError,
        match=r"line 5: 'ISIC_0003' could be .*images_part_2.*\.jpg or .*masks.*\.png; write the",
    ):
        load_dataset(table(ham, IDS))
    names = [f"images_part_{1 + number % 2}/{name}" for number, name in enumerate(IDS)]
    expected = Dataset.from_table(table(ham, [f"{name}.jpg" for name in IDS]))
    assert load_dataset(table(ham, names)).provenance.md5 == expected.provenance.md5


def test_other_files_with_the_name_of_an_image_do_not_count(ham):
    expected = load_dataset(table(ham, IDS))
    (ham / "images_part_1" / "ISIC_0000.txt").write_text("age 40")
    assert load_dataset(table(ham, IDS)).provenance.md5 == expected.provenance.md5


def test_a_path_comes_before_a_name(ham):
    expected = load_dataset(table(ham, IDS))
    names = [f"images_part_{1 + number % 2}/{name}.jpg" for number, name in enumerate(IDS)]
    write_image(ham / "copies" / "images_part_1" / "ISIC_0000.jpg", 99)
    assert load_dataset(table(ham, names)).provenance.md5 == expected.provenance.md5


def test_paths_may_be_written_as_on_windows(ham):
    names = [f"images_part_{1 + number % 2}\\{name}.jpg" for number, name in enumerate(IDS)]
    assert sum(map(len, load_dataset(table(ham, names)).splits.values())) == 12


def test_a_file_that_is_listed_in_two_ways_is_an_error(ham):
    names = [*IDS[:11], "images_part_1/ISIC_0000.jpg"]
    with pytest.raises(DatasetError, match=r"line 13: .*0000\.jpg' is already listed in line 2"):
        load_dataset(table(ham, names))


@pytest.mark.parametrize(
    ("root", "kind", "message"),
    [("nowhere", DatasetError, "not a folder"), ([], ValueError, "at least one")],
)
def test_roots_that_are_not_folders(ham, root, kind, message):
    with pytest.raises(kind, match=message):
        Dataset.from_table(table(ham, IDS), root=root)


def test_labels_of_chest_x_ray14(ham):
    names = [f"{name}.jpg" for name in IDS]
    findings = ["Mass|Effusion", "No Finding", "Mass", "Effusion"] * 3
    path = table(ham, names)
    header = "Image Index,Finding Labels,Follow-up #,Patient ID,OriginalImage[Width,Height],"
    rows = [f"{name},{findings[k]},0,{k // 2},2682,2749," for k, name in enumerate(names)]
    path.write_text("\n".join([header, *rows]))
    data = load_dataset(path)
    assert data.info.task == "multi-label, binary-class"
    assert data.info.classes == ("Effusion", "Mass")
    assert data.provenance.note.endswith("grouped by Patient ID")
