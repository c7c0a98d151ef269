"""Architectures, each registered with timm, and the factory that makes them fit a data set."""

from medzoo.models.advanced_cnn import AdvancedCNN
from medzoo.models.attention_unet import AttentionUNet
from medzoo.models.base import Classifier, ImageClassifier
from medzoo.models.efficientnet import EfficientNet
from medzoo.models.factory import architecture_of, create_model, fit_to_data, list_models
from medzoo.models.simple_cnn import SimpleCNN

__all__ = [
    "AdvancedCNN",
    "AttentionUNet",
    "Classifier",
    "EfficientNet",
    "ImageClassifier",
    "SimpleCNN",
    "architecture_of",
    "create_model",
    "fit_to_data",
    "list_models",
]
