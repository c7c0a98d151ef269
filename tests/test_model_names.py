"""The list of architectures, which imports none of them, is that of the registry."""

import medzoo
from medzoo.models._registry import ARCHITECTURES


def test_the_files_names_are_those_of_the_architectures():
    assert medzoo.list_models() == sorted(ARCHITECTURES)
    assert medzoo.models.list_models is medzoo.list_models
