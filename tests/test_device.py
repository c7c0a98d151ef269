"""Which device and precision computations get."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import medzoo
from medzoo import device
from medzoo.device import autocast, compute_in_threads, has_fast_bfloat16, resolve_device
from medzoo.inference import predict_logits

CPU = torch.device("cpu")


def present(monkeypatch, cuda, mps):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2 * cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_the_best_present(monkeypatch, cuda, mps, expected):
    present(monkeypatch, cuda, mps)
    assert resolve_device() == resolve_device("auto") == torch.device(expected)


def test_given_devices_are_kept(monkeypatch):
    present(monkeypatch, cuda=True, mps=False)
    assert resolve_device("cpu") == resolve_device(CPU) == CPU
    assert resolve_device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps"])
def test_absent_device_is_named(monkeypatch, name):
    present(monkeypatch, cuda=False, mps=False)
    with pytest.raises(ValueError, match=f"device='{name}' is not available"):
        resolve_device(name)


def test_a_cuda_device_beyond_the_last_is_named(monkeypatch):
    present(monkeypatch, cuda=True, mps=False)
    with pytest.raises(ValueError, match="device='cuda:2' is not available"):
        resolve_device("cuda:2")


@pytest.mark.filterwarnings("ignore:'mkldnn' is no longer used")
@pytest.mark.parametrize("name", ["meta", "meta:0", "mkldnn", "opengl", "lazy", "vulkan", "hip"])
def test_a_device_that_cannot_compute_is_named_and_leaves_the_model(name):
    model = medzoo.create_model("simple_cnn", dataset="dermamnist", widths=(4, 4, 4))
    images = torch.zeros(2, 3, 28, 28, dtype=torch.uint8)
    before = medzoo.predict(model, images)
    for given in (name, torch.device(name)):
        for use in (medzoo.predict, predict_logits):
            with pytest.raises(ValueError, match=f"device='{name}' is not available"):
                use(model, images, device=given)
    assert medzoo.predict(model, images) == before


@pytest.mark.parametrize("device", [0, None, True, b"cpu", ["cpu"]])
def test_what_is_not_even_the_name_of_a_device_is_a_type_error(device):
    with pytest.raises(TypeError, match=r"device=.* is not a PyTorch device"):
        resolve_device(device)


def in_fork(work, *threads) -> int:
    """Run a function in a forked process; 0 if it returned, 2 if it was refused."""
    if (child := os.fork()) == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10)
        code = 1
        try:
            for number in threads:
                torch.set_num_threads(number)
            work()
            code = 0
        except RuntimeError as error:
            code = 2 if "'spawn'" in str(error) else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows does not fork")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_fork_that_would_wait_for_its_parents_threads_says_so(monkeypatch, set_threads):
    model = medzoo.create_model("simple_cnn", dataset="dermamnist", widths=(4, 4, 4))
    images = torch.zeros(64, 3, 28, 28, dtype=torch.uint8)
    monkeypatch.setattr(device, "_threads_of", None)
    set_threads(2)
    assert in_fork(resolve_device) == 0
    medzoo.predict(model, images)
    for work in (resolve_device, lambda: medzoo.predict(model, images)):
        assert [in_fork(work), in_fork(work, 1), in_fork(work, 1, 2)] == [2, 0, 2]


@pytest.mark.parametrize("name", ["gpu", "", "cpu:x"])
def test_what_is_no_device_is_named(name):
    with pytest.raises(ValueError, match="is not a PyTorch device"):
        resolve_device(name)


def product(precision):
    with autocast(CPU, precision):
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


def test_precision_is_as_asked():
    assert product("float32") == torch.float32
    assert product("bfloat16") == torch.bfloat16


@pytest.mark.parametrize(("fast", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_precision_is_the_fast_one(monkeypatch, fast, dtype):
    monkeypatch.setattr(device, "has_fast_bfloat16", lambda _: fast)
    assert product("auto") == dtype


@pytest.mark.parametrize(
    ("amx", "avx512", "is_amd", "fast"),
    [
        (True, True, False, True),
        (False, True, False, False),  # Intel's, at half the rate of float32
        (False, True, True, True),
        (False, False, True, False),
    ],
)
def test_instruction_sets_and_maker_decide_what_is_fast(monkeypatch, amx, avx512, is_amd, fast):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(device, "_is_made_by_amd", lambda: is_amd)
    assert has_fast_bfloat16(CPU) is fast
    assert not has_fast_bfloat16(torch.device("mps"))


@pytest.mark.parametrize(("maker", "is_amd"), [("AuthenticAMD", True), ("GenuineIntel", False)])
@pytest.mark.parametrize("is_linux", [True, False])
def test_the_maker_of_the_processor(monkeypatch, tmp_path, maker, is_amd, is_linux):
    about = tmp_path / "cpuinfo"
    if is_linux:
        about.write_text(f"processor : 0\nvendor_id : {maker}\n")
    monkeypatch.setattr(device, "Path", lambda _: about)
    monkeypatch.setattr(device.platform, "processor", lambda: f"Family 25 Model 97, {maker}")
    assert device._is_made_by_amd.__wrapped__() is is_amd


def test_unknown_precision():
    with pytest.raises(ValueError, match="unknown precision 'bf16'"):
        autocast(CPU, "bf16")


def test_threads_of_one_thread_are_its_own(set_threads):
    set_threads(2)  # also on a machine with one processor
    with ThreadPoolExecutor(1, initializer=compute_in_threads, initargs=(1,)) as pool:
        assert pool.submit(torch.get_num_threads).result() == 1
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == 2
    assert torch.get_num_threads() == 2
