"""Forms of one file are read by a short way, which must give what the general parser gives."""

import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.requests import Request

from medzoo.serving.intake import Intake, Upload, interruptible, read_one_file
from medzoo.serving.limits import Limits
from medzoo.serving.problems import Problem

KIND = "multipart/form-data; boundary=b-1"
HEAD = b'--b-1\r\nContent-Disposition: form-data; name="images"; filename="a b.png"\r\n'
TYPE = b"Content-Type: image/png\r\n"
PARTS = (
    *(b"--b-1", b"\r\n--b-1--\r\n", b"\r\n--b-1", b"\r\n", b"\r", b"--", b"x", b"", b"\r\n\r\n"),
    *(HEAD, TYPE, b"Content-Type: text/plain; charset=utf-16\r\n", b"Content-Type : a/b\r\n"),
    *(b'Content-Disposition: form-data; name="a"\r\n', b'; filename*="c"', b"filename", b'"'),
)


def read(kind, body, declared=True):
    """What the service makes of a body; without its length, the general parser reads it."""
    headers = [(b"content-type", kind.encode("latin-1"))]
    headers += [(b"content-length", b"%d" % len(body))] if declared else []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def run():
        request = Request({"type": "http", "headers": headers}, receive)
        async with Intake(Limits(max_images=2)).uploads(request) as uploads:
            return uploads

    try:
        return asyncio.run(run())
    except Problem as problem:
        return problem.status, problem.detail


def form(content, head=HEAD + TYPE):
    """A form of one file."""
    return head + b"\r\n" + content + b"\r\n--b-1--\r\n"


@given(st.binary(max_size=60))
@example(b"")
@example(b"\r")
@example(b"\r\n--b-")
def test_a_file_is_read_by_the_short_way_as_it_was_sent(content):
    assert read_one_file(KIND, form(content)) == Upload("a b.png", content)
    assert read_one_file(KIND, form(content, HEAD)) == Upload("a b.png", content)


@given(
    body=st.lists(st.sampled_from(PARTS) | st.binary(max_size=4), max_size=8).map(b"".join)
    | st.tuples(st.integers(0, 140), st.sampled_from(PARTS) | st.binary(max_size=4)).map(
        lambda change: form(b"PNG")[: change[0]] + change[1] + form(b"PNG")[change[0] :]
    ),
    kind=st.sampled_from(
        [KIND, KIND.upper(), f'{KIND[:-3]}"b-1"', KIND + "; charset=utf-16", KIND[:-1], KIND[:20]]
    ),
)
@example(form(b"PNG")[:-2], KIND)
@example(form(b"PNG") + b"more", KIND)
@example(form(b"PNG\r\n--b-1more"), KIND)
@example(form(b"PNG", HEAD.replace(b"a b", b"C:\\\\a")), KIND)
@example(form(b"PNG", HEAD.replace(b"a b", "ä".encode())), KIND)
@example(form(b"PNG", HEAD.replace(b"a b.png", b"a" * 300)), KIND)
@example(form(b"PNG", HEAD.replace(b"a b.png", b"")), KIND)
def test_other_forms_get_the_answer_of_the_general_parser(body, kind):
    assert read(kind, body) == read(kind, body, declared=False)
    if upload := read_one_file(kind, body):
        assert [upload] == read(kind, body, declared=False)


@pytest.mark.parametrize("size", [1 << 18, 1 << 19])
def test_large_forms_are_read_as_well(size):
    assert read(KIND, form(bytes(size))) == [Upload("a b.png", bytes(size))]


def test_what_a_task_awaits_ends_with_the_first_error_and_never_after_the_context():
    async def run():
        loop = asyncio.get_running_loop()

        async def wait(seconds, *errors):
            with interruptible(seconds, TimeoutError()) as interrupt:
                for error in errors:
                    loop.call_soon(interrupt, error)
                await asyncio.sleep(60)

        with pytest.raises(KeyError):
            await wait(60, KeyError(), ValueError())
        with pytest.raises(TimeoutError):
            await wait(0)
        with interruptible(0, TimeoutError()) as interrupt:
            pass
        interrupt(ValueError())
        await asyncio.sleep(0.01)
        assert not getattr(asyncio.current_task(), "cancelling", int)()

    asyncio.run(run())


def test_a_task_that_is_cancelled_from_outside_stays_cancelled():
    async def wait():
        with interruptible(60, TimeoutError()):
            await asyncio.sleep(60)

    async def run():
        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
