"""Architectures, each registered with timm; the factory that fits them to data; ensembles."""

from medzoo.models._base import Classifier, ImageClassifier, dataset_of
from medzoo.models._factory import architecture_of, bind_to_dataset, create_model, list_models
from medzoo.models.advanced_cnn import AdvancedCNN
from medzoo.models.attention_unet import AttentionUNet
from medzoo.models.efficientnet import EfficientNet
from medzoo.models.ensemble import Ensemble, InputAdapter, average_logits
from medzoo.models.simple_cnn import SimpleCNN

__all__ = [
    "AdvancedCNN",
    "AttentionUNet",
    "Classifier",
    "EfficientNet",
    "Ensemble",
    "ImageClassifier",
    "InputAdapter",
    "SimpleCNN",
    "architecture_of",
    "average_logits",
    "bind_to_dataset",
    "create_model",
    "dataset_of",
    "list_models",
]
