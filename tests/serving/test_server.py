"""What `medzoo serve` makes of its options, before anything is served."""

import socket

import pytest

from medzoo.cli import serve
from medzoo.serving import Limits
from medzoo.serving.server import Server


@pytest.mark.parametrize(
    ("host", "port", "error", "reason"),
    [
        # The resolver of the system would take 34463 in its place.
        ("127.0.0.1", 99_999, ValueError, "99999 must be from 0 to 65535"),
        ("127.0.0.1", -1, ValueError, "-1 must be from 0 to 65535"),
        ("no such host", 0, OSError, "cannot serve at 'no such host'"),
    ],
)
def test_an_address_that_does_not_exist_is_refused(monkeypatch, host, port, error, reason):
    def listen(*_):
        raise AssertionError("it would have served")

    monkeypatch.setattr(socket.socket, "set_inheritable", listen)
    with pytest.raises(error, match=reason):
        Server("simple_cnn.pneumoniamnist", host, port).run()


def test_options_may_be_smaller_or_larger_than_limits_without_an_option():
    assert serve._limits({}) == Limits()
    assert serve._limits({"queue_size": 10}) == Limits(queue_size=10, max_images=10)
    assert serve._limits({"max_body": 1 << 30}) == Limits(max_body=1 << 30, max_memory=1 << 30)
    for wrong in ("queue_size", "max_body"):
        with pytest.raises(ValueError, match=f"{wrong}=0"):
            serve._limits({wrong: 0})
