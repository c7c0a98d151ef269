"""Architectures, each registered with timm, and the factory that fits them to data."""

from medzoo.model_names import list_models
from medzoo.models._base import ImageClassifier
from medzoo.models._checkpoints.find import architecture_of
from medzoo.models._checkpoints.save import check_loads_again, save_weights
from medzoo.models._classifier import Classifier, Specified, with_spec
from medzoo.models._cost import ModelCost, model_cost
from medzoo.models._factory import bind_to_dataset, create_model, load_file
from medzoo.models._registry import network_args
from medzoo.models.advanced_cnn import AdvancedCNN
from medzoo.models.attention_unet import AttentionUNet
from medzoo.models.efficientnet import EfficientNet
from medzoo.models.simple_cnn import SimpleCNN

__all__ = [
    "AdvancedCNN",
    "AttentionUNet",
    "Classifier",
    "EfficientNet",
    "ImageClassifier",
    "ModelCost",
    "SimpleCNN",
    "Specified",
    "architecture_of",
    "bind_to_dataset",
    "check_loads_again",
    "create_model",
    "list_models",
    "load_file",
    "model_cost",
    "network_args",
    "save_weights",
    "with_spec",
]
