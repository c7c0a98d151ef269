"""Which columns are taken for those of patients and lesions."""

import pytest

from medzoo.datasets.readers.group import is_group_name


@pytest.mark.parametrize(
    "name", ["Patient ID", "subjects", "lesion_id", "StudyInstanceUID", "PID", "mrn", "Case No."]
)
def test_names_of_groups(name):
    assert is_group_name(name)


@pytest.mark.parametrize("name", ["age", "ImageID", "SOPInstanceUID", "id", "patient age", "rapid"])
def test_other_names(name):
    assert not is_group_name(name)
