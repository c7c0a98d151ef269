"""What the documents of the API look like, for OpenAPI; nothing is computed here."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from medzoo.inference import TTA
from medzoo.serving.problems import MEDIA_TYPE

_MODEL = "simple_cnn.pneumoniamnist"
_NOTICE = "For research and teaching; not for clinical use."
_SHA256 = "179f7ebd2e25c5a808d3b329034dd7f4a28634eca51f8d848f51a54a98801895"
_CONFORMAL = {"method": "lac", "coverage": 0.9, "thresholds": [0.94], "images": 524}
_SCORES = {"split": "test", "images": 624, "auc": {"value": 0.98, "interval": [0.965, 0.991]}}


class Description(BaseModel):
    """What is known about a model."""

    name: str = Field(examples=[_MODEL])
    architecture: str = Field(examples=["simple_cnn"])
    dataset: dict[str, str] | None = Field(
        examples=[{"name": "pneumoniamnist", "title": "PneumoniaMNIST", "licence": "CC BY 4.0"}]
    )
    task: str | None = Field(examples=["binary-class"])
    multi_label: bool
    classes: list[str] = Field(examples=[["normal", "pneumonia"]])
    classes_are: str | None = Field(
        description="What the classes are, if their names are mere numbers.", examples=[None]
    )
    input: dict[str, Any] = Field(
        examples=[{"channels": 1, "size": 28, "mean": [0.572], "std": [0.168]}]
    )
    temperature: float = Field(examples=[0.695])
    conformal: dict[str, Any] | None = Field(
        None, description="Thresholds of prediction sets.", examples=[_CONFORMAL]
    )
    parameters: int | None = Field(examples=[1099370])
    licence: str = Field(examples=["CC BY 4.0"])
    weights_sha256: list[str]
    trained_on: str | None = Field(examples=["PneumoniaMNIST (official images, re-ordered)"])
    scores: dict[str, Any] | None = Field(examples=[_SCORES])
    notice: str = Field(examples=[_NOTICE])


class Models(BaseModel):
    """The models that are served."""

    models: list[Description]
    medzoo: str = Field(examples=["0.1.0"])
    notice: str = Field(examples=[_NOTICE])


class PredictOptions(BaseModel):
    """How images are classified; an option that does not exist is an error, as a typing mistake."""

    model_config = ConfigDict(extra="forbid")

    top_k: int | None = Field(None, ge=1, description="Only so many classes.")
    threshold: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="For labels of multi-label models, and the second class of binary ones.",
    )
    abstain_above: float | None = Field(
        None, gt=0, lt=1, description="Risk above which no answer is given."
    )
    explain: bool = Field(False, description="With a heat map of each image.")
    tta: TTA = Field("none", description="Views of each image to average.")


class ClassProbability(BaseModel):
    """The probability of one class."""

    label: str = Field(examples=["pneumonia"])
    probability: float = Field(ge=0, le=1, examples=[0.93])


class Heat(BaseModel):
    """Where an image supports a class."""

    label: str = Field(examples=["pneumonia"])
    method: str = Field(examples=["HiResCAM"])
    png: str = Field(
        description="Base64 of a PNG (RGBA) to lay over the image's centre square.",
        examples=["iVBORw0KGgo..."],
    )


class ImagePrediction(BaseModel):
    """What a model says about one image."""

    file: str = Field(examples=["chest.png"])
    label: str = Field(
        description="The most probable class, or the one that a threshold decides for.",
        examples=["pneumonia"],
    )
    labels: list[str] | None = Field(
        None, description="Of multi-label models: all labels above the threshold."
    )
    probabilities: list[ClassProbability] = Field(description="The most probable first.")
    prediction_set: list[str] | None = Field(
        None, description="The classes among which the truth is with the probability `coverage`."
    )
    coverage: float | None = Field(None, description="What the set was calibrated for.")
    risk: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Share of wrong answers, at most, among this one and those that are about as "
        "confident or more.",
        examples=[0.05],
    )
    abstained: bool | None = Field(
        None, description="True if the risk is above `abstain_above`: do not use the label."
    )
    explanation: Heat | None = Field(None, description="If it was asked for.")
    unfamiliar: bool | None = Field(
        None, description="Whether it is unlike the images that the model was trained on."
    )
    ood_score: float | None = Field(
        None, ge=0, description="How unlike they are; above 1 it is unfamiliar.", examples=[0.7]
    )
    warning: str | None = Field(
        None,
        description="Why the image may look different from what was meant, or is unfamiliar.",
    )


class Answers(BaseModel):
    """What a model says about the images of a request."""

    model: str = Field(examples=[_MODEL])
    weights_sha256: list[str]
    medzoo: str = Field(examples=["0.1.0"])
    notice: str = Field(examples=[_NOTICE])
    milliseconds: float = Field(
        description="From the complete request to the answer.", examples=[4.1]
    )
    predictions: list[ImagePrediction] = Field(description="In the order of the images.")


class ProblemDocument(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["cannot read the file as an image: it is truncated"])
    file: str | None = Field(None, description="The image that is to blame, if it is one.")


PREDICTED = {
    "model": _MODEL,
    "weights_sha256": [_SHA256],
    "medzoo": "0.1.0",
    "notice": _NOTICE,
    "milliseconds": 4.1,
    "predictions": [
        {
            "file": "chest.png",
            "label": "pneumonia",
            "probabilities": [
                {"label": "pneumonia", "probability": 0.93},
                {"label": "normal", "probability": 0.07},
            ],
        }
    ],
}
"""An example of `Answers`."""

_REASONS = {
    401: "A token is needed.",
    404: "There is no such model; the detail names close matches.",
    408: "The request did not arrive in time.",
    413: "The body is too large.",
    415: "The body is of another type.",
    422: "An image cannot be read, or an option does not fit.",
    503: "There is too much to do at the moment; see Retry-After.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the errors of an operation, as FastAPI documents them.

    Args:
        statuses: Their statuses.
    """
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {
        status: {"description": _REASONS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }
