"""Muon, with the arithmetic that the device is fast at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from timm.optim.adamw import adamw
from timm.optim.muon import zeropower_via_newtonschulz
from timm.optim.nadamw import nadamw
from torch import Tensor

QUINTIC = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)
"""Coefficients of timm's Newton-Schulz iteration, one (a, b, c) per step."""


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al., 2024): matrices follow their orthogonalised momentum, the rest AdamW.

    Updates, settings and names of the state are those of timm's Muon and AdaMuon, with timm's
    defaults where they can be set for each group there (coefficients, convolutions). timm's class
    always orthogonalises in bfloat16, which is a matter of speed and not of the method; where
    bfloat16 is emulated, that takes longer than the network itself. Here the precision is an
    argument.

    Args:
        groups: Parameter groups with all settings, as those of a `timm.optim.Muon`.
        dtype: Precision in which momentum is orthogonalised: float32 or bfloat16.
    """

    def __init__(self, groups: list[dict[str, Any]], dtype: torch.dtype) -> None:
        super().__init__(groups, {"dtype": dtype})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient.

        Args:
            closure: Computes the loss again, with gradients.

        Returns:
            What the closure returned, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            learning = [one for one in group["params"] if one.grad is not None]
            for parameter in filter(is_orthogonalised, learning):
                self._update_matrix(parameter, group)
            others = [one for one in learning if not is_orthogonalised(one)]
            if others:
                self._update_others(others, group)
        return loss

    def _update_matrix(self, parameter: Tensor, group: dict[str, Any]) -> None:
        gradient, state, rate = parameter.grad, self.state[parameter], group["lr"]
        assert gradient is not None
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        average, momentum = state["momentum_buffer"], group["momentum"]
        parameter.mul_(1 - rate * group["weight_decay"])
        average.lerp_(gradient, 1.0 - momentum)
        update = gradient.lerp(average, momentum) if group["nesterov"] else average.clone()
        matrix = orthogonalise(
            update.reshape(len(update), -1),
            group["ns_steps"],
            eps=group["eps"],
            safety_factor=group["safety_factor"],
            dtype=group["dtype"],
        )
        update = matrix.reshape(parameter.shape)
        if group["algo"] == "adamuon":
            update, size = self._adapt(update, parameter, group), parameter.numel()
        else:
            size = max(matrix.shape)
        # Updates as large as AdamW's, so that both parts learn at one rate (Liu et al., 2025).
        parameter.add_(update, alpha=-rate * (0.2 * size**0.5))

    def _adapt(self, update: Tensor, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        """Return AdaMuon's update (Si et al., 2025): scaled by its second moment, of norm 1."""
        state, beta2 = self.state[parameter], group["betas"][1]
        if "exp_avg_sq" not in state:
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        second = state["exp_avg_sq"]
        second.mul_(beta2).addcmul_(update, update, value=1.0 - beta2)
        adapted = update / second.sqrt().add_(group["eps"])
        return adapted / adapted.norm().add_(group["eps"])

    def _update_others(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        states = [self.state[parameter] for parameter in parameters]
        for parameter, state in zip(parameters, states, strict=True):
            if "step" not in state:
                state["step"] = torch.zeros(())
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
        average, second, steps = (
            [state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step")
        )
        gradients = [parameter.grad for parameter in parameters]
        beta1, beta2 = group["betas"]
        settings = {
            "beta1": beta1,
            "beta2": beta2,
            "lr": group["lr"],
            "weight_decay": group["weight_decay"],
            "eps": group["eps"],
            "foreach": None,
            "capturable": False,
            "caution": False,
            "maximize": False,
            "max_lr": None,
        }
        if group["nesterov"]:
            nadamw(parameters, gradients, average, second, steps, **settings)
        else:
            adamw(parameters, gradients, average, second, [], steps, amsgrad=False, **settings)


def is_orthogonalised(parameter: Tensor) -> bool:
    """Whether Muon orthogonalises a parameter's momentum, by timm's rule for shapes.

    Args:
        parameter: Biases, norms, depthwise convolutions, position embeddings, and matrices that
            are very small or more than 128 times as wide as high are left to AdamW.
    """
    shape = parameter.shape
    if len(shape) < 2 or 1 in shape[:2]:
        return False
    low, high = sorted((shape[0], shape[1:].numel()))
    return low >= 4 and high <= 128 * low


def orthogonalise(
    gradient: Tensor,
    steps: int,
    coefficients: Sequence[tuple[float, float, float]] = QUINTIC,
    *,
    eps: float = 1e-7,
    safety_factor: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Compute timm's Newton-Schulz iteration, with small matrices where possible.

    Each iteration multiplies X by a polynomial of its Gram matrix, and these all commute. So the
    product of the polynomials can be computed from the Gram matrix alone and applied once. For the
    weights of 3x3 convolutions, nine times as wide as high, that is less than half the arithmetic.
    A Gram matrix holds the squares of the singular values: its first iterations, which raise the
    small ones, are computed in float32 whatever the precision.

    Args:
        gradient: (M, N).
        steps: Number of iterations.
        coefficients: (a, b, c) of each; the last one repeats.
        eps: Least norm to divide by.
        safety_factor: By which the norm is taken as larger.
        dtype: Precision of the computation.

    Returns:
        (M, N), nearly orthogonal, of that precision.
    """
    low, high = sorted(gradient.shape)
    on_gpu = gradient.device.type != "cpu"  # where float32 is far slower
    if high < 3 * low or (on_gpu and dtype != torch.float32):
        return zeropower_via_newtonschulz(
            gradient, steps, list(coefficients), eps=eps, safety_factor=safety_factor, dtype=dtype
        )
    wide = gradient if len(gradient) == low else gradient.mT
    x = wide.float() / (wide.float().norm() * safety_factor).clamp(min=eps)
    gram, total = x @ x.mT, torch.eye(low, device=x.device)
    for step in range(steps):
        if step == _FLOAT32_STEPS:
            gram, total = gram.to(dtype), total.to(dtype)
        a, b, c = coefficients[min(step, len(coefficients) - 1)]
        factor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal().add_(a)
        total = factor if step == 0 else factor @ total
        if step < steps - 1:
            gram = factor @ gram @ factor
    result = total.to(dtype) @ x.to(dtype)
    return result if wide is gradient else result.mT


_FLOAT32_STEPS = 3  # with 2, the result is less exact than that of all steps on X in bfloat16
