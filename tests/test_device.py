"""Which device and precision computations get."""

import pytest
import torch

from medzoo import device
from medzoo.device import autocast, has_fast_bfloat16, resolve_device

CPU = torch.device("cpu")


def present(monkeypatch, cuda, mps):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
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
    ("amx", "avx512", "fast"), [(True, False, True), (False, True, True), (False, False, False)]
)
def test_instruction_sets_decide_what_is_fast(monkeypatch, amx, avx512, fast):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    assert has_fast_bfloat16(CPU) is fast
    assert not has_fast_bfloat16(torch.device("mps"))


def test_unknown_precision():
    with pytest.raises(ValueError, match="unknown precision 'bf16'"):
        autocast(CPU, "bf16")
