"""What a file may cost: bytes, pixels, seconds and memory, over all threads together."""

import io
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest
from PIL import Image

from medzoo.errors import DatasetError
from medzoo.images import file, read_image, read_images
from medzoo.images.decoding import bounded, pool
from medzoo.images.decoding.bounded import is_bounded
from medzoo.images.decoding.limits import PixelBudget
from medzoo.prediction.sources import load_image


def saved(name, mode="RGB", size=(64, 48), **options):
    rows, columns = np.mgrid[: size[1], : size[0]].astype(np.uint8)
    picture = Image.fromarray(np.dstack([rows * 4, columns * 3, rows + columns]))
    buffer = io.BytesIO()
    picture.convert(mode).save(buffer, name, **options)
    return buffer.getvalue()


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def chunk(kind, content):
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def overlapping(entries, size):
    """An EXIF directory of many values that are the same bytes: gigabytes in a small file."""
    written = b"".join(struct.pack("<HHII", number, 7, size, 8) for number in range(entries))
    directory = b"II*\0" + struct.pack("<IH", 8, entries) + written + bytes(4)
    return directory + bytes(max(0, size + 8 - len(directory)))


def in_jpeg(*parts):
    whole = saved("JPEG")
    return whole[:2] + b"".join(parts) + whole[2:]


def in_png(*parts):
    whole = saved("PNG")
    return whole[:33] + b"".join(parts) + whole[33:]


def exif_segments(exif):
    parts = (exif[start : start + 65_000] for start in range(0, len(exif), 65_000))
    return [segment(0xE1, b"Exif\0\0" + part) for part in parts]


def progressive(scans, size=(64, 48)):
    whole = saved("JPEG", size=size, progressive=True)
    end, last = whole.rindex(b"\xff\xd9"), whole.rindex(b"\xff\xda")
    return whole[:end] + scans * whole[last:end] + whole[end:]


def bitmap(compression):
    head = struct.pack("<IHHIIiiHHIIIIII", 0, 0, 0, 1078, 40, 64, 48, 1, 8, compression, *5 * (0,))
    return b"BM" + head + bytes(1024) + b"\1\0" * 64 * 48


def exif_of_a_camera():
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "camera", 6
    return exif.tobytes()


ORDINARY = {
    "JPEG": saved("JPEG"),
    "gray JPEG": saved("JPEG", "L"),
    "CMYK JPEG": saved("JPEG", "CMYK"),
    "progressive JPEG": saved("JPEG", progressive=True),
    "JPEG with metadata": saved(
        "JPEG", exif=exif_of_a_camera(), icc_profile=bytes(300_000), comment="abc", dpi=(72, 72)
    ),
    "PNG": saved("PNG"),
    "gray PNG": saved("PNG", "L"),
    "transparent PNG": saved("PNG", "RGBA"),
    "PNG with palette": saved("PNG", "P"),
    "large PNG": saved("PNG", size=(1000, 900), compress_level=0),
    "PNG with metadata": saved("PNG", exif=exif_of_a_camera(), icc_profile=bytes(9), dpi=(72, 72)),
    "BMP": saved("BMP"),
    "gray BMP": saved("BMP", "L"),
    "BMP of two colours": saved("BMP", "1"),
}

COSTLY = {
    "JPEG, overlapping EXIF": in_jpeg(*exif_segments(overlapping(5000, 64_000))),
    "JPEG, overlapping EXIF in parts": in_jpeg(*exif_segments(overlapping(20_000, 900_000))),
    "JPEG, other EXIF": in_jpeg(segment(0xE1, b"Exif\0\0" + b"MM\0+" + bytes(40))),
    "JPEG, overlapping index": in_jpeg(segment(0xE2, b"MPF\0" + overlapping(5000, 64_000))),
    "JPEG, parts of EXIF": in_jpeg(*[segment(0xE1, b"Exif\0\0" + bytes(9))] * 2000),
    "JPEG, comments": in_jpeg(*[segment(0xFE, b"")] * 2000),
    "JPEG, unknown segment": in_jpeg(segment(0xF0, b"abc")),
    "JPEG, filling": in_jpeg(b"\xff" * 9),
    "JPEG, two frames": in_jpeg(segment(0xC0, struct.pack(">BHHB", 8, 9, 9, 0))),
    "JPEG, scans": progressive(90, (2500, 2400)),
    "JPEG, cut": saved("JPEG")[:100],
    "PNG, overlapping EXIF": in_png(chunk(b"eXIf", overlapping(9000, 200_000))),
    "PNG, EXIF as text": in_png(chunk(b"zTXt", b"Raw profile type exif\0\0" + bytes(9))),
    "PNG, chunks": in_png(*[chunk(b"teSt", b"")] * 2000),
    "PNG, animated": saved("PNG", save_all=True, append_images=[Image.new("RGB", (64, 48))]),
    "PNG, cut": saved("PNG")[:-20],
    "BMP, run lengths": bitmap(1),
    "BMP, old header": b"BM" + struct.pack("<IHHIIHHHH", 0, 0, 0, 26, 12, 64, 48, 1, 24),
    "TIFF": saved("TIFF"),
    "nothing": b"",
}


@pytest.mark.parametrize("content", ORDINARY.values(), ids=ORDINARY)
def test_ordinary_files_are_decoded_in_the_process(content, monkeypatch, tmp_path):
    assert is_bounded(content)
    monkeypatch.setattr(pool.WorkerPool, "decode", lambda *_: pytest.fail("used a worker"))
    (tmp_path / "image").write_bytes(content)
    here = read_image(content)
    assert np.array_equal(here, read_image(tmp_path / "image"))
    monkeypatch.undo()
    monkeypatch.setattr(file, "is_bounded", lambda content: False)
    assert np.array_equal(here, read_image(content))  # the same pixels


@pytest.mark.parametrize("content", COSTLY.values(), ids=COSTLY)
def test_files_that_may_cost_anything_are_decoded_in_a_worker(content, monkeypatch):
    assert not is_bounded(content)
    monkeypatch.setattr(file, "decode", lambda *_: pytest.fail("decoded in the process"))
    try:
        read_image(content)
    except DatasetError as error:
        assert "cannot read" in str(error)  # noqa: PT017


def test_large_files_are_decoded_in_a_worker(monkeypatch, tmp_path):
    monkeypatch.setattr(bounded, "MAX_BOUNDED_BYTES", 100)
    assert not is_bounded(saved("PNG"))
    monkeypatch.setattr(file, "MAX_BOUNDED_BYTES", 100)
    monkeypatch.setattr(file, "decode", lambda *_: pytest.fail("decoded in the process"))
    (tmp_path / "image").write_bytes(saved("PNG"))
    assert read_image(tmp_path / "image").shape == (48, 64, 3)


def test_a_file_of_gigabytes_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "sparse.jpg"
    path.write_bytes(saved("JPEG")[:-2])
    os.truncate(path, 6 << 30)
    with pytest.raises(DatasetError, match=r"sparse.jpg.* 6,442,450,944 bytes, expected at most"):
        read_image(path)


def test_an_open_file_is_read_to_its_end_and_no_further_than_the_limit(monkeypatch):
    whole = saved("PNG")

    class Slow(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 100) if size > 0 else size)

    assert np.array_equal(load_image(Slow(whole), None), read_image(whole))
    monkeypatch.setattr("medzoo.prediction.sources.MAX_BYTES", 1000)
    monkeypatch.setattr("medzoo.images.decoding.limits.MAX_BYTES", 1000)
    stream = io.BytesIO(bytes(9999))
    with pytest.raises(DatasetError, match="the image as an image: it has 1,001 bytes, expected"):
        load_image(stream, None)
    assert stream.tell() == 1001


# Workers


def test_a_file_that_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr(pool, "MAX_SECONDS", 0)
    began = time.process_time()
    with pytest.raises(DatasetError, match="takes more than 0 seconds of processor time"):
        read_image(b"P6\n#" + b"x" * 8_000_000)
    assert time.process_time() - began < 1
    monkeypatch.undo()
    assert read_image(saved("TIFF")).shape == (48, 64, 3)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
def test_a_worker_that_does_not_answer_is_ended(monkeypatch):
    read_image(saved("TIFF"))
    worker = pool.worker_pool()._idle[-1]
    worker._process.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(pool, "MAX_WAIT", 0.1)
    with pytest.raises(DatasetError, match=r"crashes the decoder \(exit status -9\)"):
        read_image(saved("TIFF"))
    assert worker._process.poll() is not None
    monkeypatch.undo()
    assert read_image(saved("TIFF")).shape == (48, 64, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_AS")
def test_a_file_that_takes_too_much_memory_is_refused(monkeypatch):
    buffer = io.BytesIO()
    Image.new("RGB", (3000, 3000)).save(buffer, "GIF")
    content = buffer.getvalue()
    monkeypatch.setattr(pool, "MAX_MEMORY", 150 << 20)
    with pytest.raises(DatasetError, match="cannot read"):
        read_image(content)
    monkeypatch.undo()
    assert read_image(content).shape == (3000, 3000, 3)


def test_a_worker_that_died_meanwhile_is_replaced():
    expected = read_image(saved("TIFF"))
    for worker in pool.worker_pool()._idle:
        worker._process.kill()
        worker._process.wait()
    assert np.array_equal(read_image(saved("TIFF")), expected)


def test_an_interrupted_answer_is_not_taken_for_the_next_one(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    read_image(saved("TIFF"))
    with monkeypatch.context() as patch:
        patch.setattr(pool._Worker, "_receive", interrupt)
        with pytest.raises(KeyboardInterrupt):
            read_image(saved("TIFF", size=(64, 64)))
    assert read_image(saved("TIFF")).shape == (48, 64, 3)


def test_workers_are_kept_and_are_few():
    before = {worker._process.pid for worker in pool.worker_pool()._idle}
    files = [saved("TIFF", size=(8 + number, 9)) for number in range(40)]
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(read_image, files))
    assert [image.shape[1] for image in found] == list(range(8, 48))
    after = {worker._process.pid for worker in pool.worker_pool()._idle}
    assert before <= after
    assert len(after) <= pool.MAX_WORKERS


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_workers_of_its_own():
    content, other = saved("TIFF"), saved("TIFF", "L")
    expected = read_image(content)
    child = os.fork()
    if not child:  # in a loop, beside the parent
        fine = all(read_image(other).ndim == 2 for _ in range(20))
        pool.worker_pool().end()
        os._exit(not fine)
    for _ in range(20):
        assert np.array_equal(read_image(content), expected)
    assert os.waitpid(child, 0)[1] == 0


def test_workers_end_with_the_process_and_ignore_what_it_must_not_import(tmp_path):
    (tmp_path / "image.tif").write_bytes(saved("TIFF"))
    for name in ("json", "numpy", "medzoo"):  # in the current folder, which is not searched
        (tmp_path / f"{name}.py").write_text("raise SystemExit(3)")
    code = (
        "import sys; sys.path[:] = sys.argv[1:]\n"
        "from medzoo.images.file import read_image\n"
        "from medzoo.images.decoding.pool import worker_pool\n"
        "print(read_image('image.tif').shape)\n"
        "print(worker_pool()._idle[0]._process.pid)"
    )
    paths = [path for path in sys.path if path]
    command = [sys.executable, "-I", "-c", code, *paths]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    shape, pid = ended.stdout.splitlines()
    assert (shape, ended.stderr) == ("(48, 64, 3)", "")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_a_frozen_program_is_not_started_again(monkeypatch):
    pool.worker_pool().end()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(DatasetError, match="frozen program reads plain JPEG, PNG and BMP only"):
        read_image(saved("TIFF"))
    assert read_image(saved("PNG")).shape == (48, 64, 3)


@pytest.mark.parametrize("executable", [None, "", "/nonexistent/python"])
def test_a_program_that_does_not_know_python_says_so(monkeypatch, executable):
    pool.worker_pool().end()
    monkeypatch.setattr(pool, "get_executable", lambda: executable)
    with pytest.raises(DatasetError, match=r"name it with multiprocessing\.set_executable"):
        read_image(saved("TIFF"))
    assert read_image(saved("PNG")).shape == (48, 64, 3)


@pytest.mark.parametrize("program", ["exit 3", "echo hello", "echo '[1]'", "echo '{}'"])
def test_another_program_than_python_is_not_taken_for_a_crash(program, monkeypatch, tmp_path):
    pool.worker_pool().end()
    executable = tmp_path / "python"
    executable.write_text(f"#!/bin/sh\n{program}\n")
    executable.chmod(0o755)
    monkeypatch.setattr(pool, "get_executable", lambda: str(executable))
    with pytest.raises(DatasetError, match=r"is not this Python .*multiprocessing\.set_executable"):
        read_image(saved("TIFF"))


def test_heif_is_read_if_the_program_has_registered_it(monkeypatch, tmp_path):
    """By a stand-in for pillow-heif, which reads everything as one red pixel."""
    (tmp_path / "pillow_heif.py").write_text(
        "from PIL import Image, ImageFile\n"
        "class HeifFile(ImageFile.ImageFile):\n"
        "    format = 'HEIF'\n"
        "    def _open(self):\n"
        "        self._size, self._mode = (1, 1), 'RGB'\n"
        "        self.im, self.tile = Image.new('RGB', (1, 1), 'red').im, []\n"
        "def register_heif_opener():\n"
        "    Image.register_open('HEIF', HeifFile, lambda head: head[4:12] == b'ftypheic')\n"
    )
    content = b"\0\0\0\x0cftypheic" + bytes(40)
    with pytest.raises(DatasetError, match="unknown format"):
        read_image(content)
    pool.worker_pool().end()  # they have another search path
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    __import__("pillow_heif").register_heif_opener()
    try:
        assert read_image(content).tolist() == [[[255, 0, 0]]]
    finally:
        pool.worker_pool().end()


# Threads


def test_large_images_are_not_in_memory_at_the_same_time():
    budget, together, most = PixelBudget(10), [0], [0]
    lock = threading.Lock()

    def work(pixels):
        with ExitStack() as held:
            budget.reserve(pixels, held)
            with lock:
                together[0] += pixels
                most[0] = max(most[0], together[0])
            time.sleep(0.001)
            with lock:
                together[0] -= pixels

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, [1, 9, 10, 2, 3, 8, 10, 1] * 10))
    assert most[0] <= 10
    assert together == [0]


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_all_readers_share_the_budget(name, monkeypatch, tmp_path):
    paths = [tmp_path / str(number) for number in range(12)]
    for path in paths:
        path.write_bytes(saved(name))
    budget = PixelBudget(64 * 48)
    monkeypatch.setattr(file, "_budget", budget)
    inside = []

    def resize(images, size):
        inside.append(budget._free)
        time.sleep(0.002)
        inside.append(budget._free)
        return images[..., :size, :size]

    monkeypatch.setattr("medzoo.images.batch.center_crop_resize", resize)
    read_images(paths, 8)
    assert set(inside) == {0}
    assert budget._free == 64 * 48


@pytest.mark.parametrize("content", [saved("PNG")[:-200], saved("TIFF")[:200], b"abc"])
def test_what_was_reserved_is_given_back_after_an_error(content, monkeypatch):
    budget = PixelBudget(64 * 48)
    monkeypatch.setattr(file, "_budget", budget)
    for _ in range(3):
        with pytest.raises(DatasetError):
            read_image(content)
    assert budget._free == 64 * 48
