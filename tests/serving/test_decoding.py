"""Files are decoded in threads, and what nobody waits for is not kept."""

import sys
import threading

import pytest

import medzoo
from medzoo.errors import DatasetError
from medzoo.serving.decoding import Decoded, Decoder, Decoding
from tests.serving.conftest import XRAY, encoded


@pytest.fixture
def expected_input(models):
    return models[XRAY].spec.input


def decoded(decoder, contents, expected_input):
    done, found = threading.Event(), []
    decoder.start(contents, expected_input, lambda outcomes: (found.extend(outcomes), done.set()))
    assert done.wait(60)
    return found


def test_outcomes_are_in_the_order_of_the_files(expected_input):
    files = [encoded(), b"no image", encoded(kind="TIFF"), encoded(kind="JPEG")]
    outcomes = decoded(Decoder(), files, expected_input)
    kinds = [Decoded, DatasetError, Decoded, Decoded]
    assert [type(one) for one in outcomes] == kinds
    transform = medzoo.create_transform(expected_input)
    plain, tiff = (one.pixels.float() for one in (outcomes[0], outcomes[2]))
    assert plain.equal(tiff)
    assert plain.shape == transform(medzoo.images.read_image(files[0])).shape


def test_what_was_dropped_is_neither_decoded_nor_kept(expected_input):
    content, answered = bytearray(encoded()), []
    decoding = Decoding([content], expected_input, answered.append)
    references = sys.getrefcount(content)
    decoding.drop()
    assert sys.getrefcount(content) == references - 1
    assert decoding.decode(0)
    assert not answered
