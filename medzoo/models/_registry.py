"""medzoo's own architectures by name."""

from __future__ import annotations

from medzoo.models._base import ImageClassifier
from medzoo.models.advanced_cnn import AdvancedCNN
from medzoo.models.attention_unet import AttentionUNet
from medzoo.models.efficientnet import EfficientNet
from medzoo.models.simple_cnn import SimpleCNN

ARCHITECTURES: dict[str, type[ImageClassifier]] = {
    "advanced_cnn": AdvancedCNN,
    "attention_unet": AttentionUNet,
    "efficientnet": EfficientNet,
    "simple_cnn": SimpleCNN,
}
