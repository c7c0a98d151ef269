"""The classifier head of medzoo's architectures: timm's, faster in training."""

from __future__ import annotations

from timm.layers import ClassifierHead
from torch import Tensor


class Head(ClassifierHead):
    """timm's head, whose mean over a map has gradients in the layout of the map.

    The gradient of `mean` is laid out as NCHW. In a network that is trained in channels-last
    layout, the layers before it then read two layouts at once, which is slow. The gradient of
    `sum` has no layout of its own.
    """

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Map (N, C, H, W) to (N, num_classes), or to (N, C) before the classifier.

        Args:
            x: The final map.
            pre_logits: Leave out the classifier.
        """
        if self.training and self.global_pool.pool_type == "avg":
            x = x.sum((2, 3)) / (x.shape[2] * x.shape[3])
        else:
            x = self.global_pool(x)
        x = self.drop(x)
        return x if pre_logits else self.fc(x)
