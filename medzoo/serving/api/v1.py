"""medzoo's own interface: descriptions of models, and predictions for images."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

import medzoo
from medzoo.escape import for_display
from medzoo.evaluation.metrics import THRESHOLD, check_threshold
from medzoo.inference.options import Settings
from medzoo.inference.selective import check_risk, selective_for
from medzoo.inference.tta import check_views
from medzoo.prediction import Explanation
from medzoo.prediction.result import UNFAMILIAR
from medzoo.serving.api.access import DirectRoute
from medzoo.serving.api.schemas import (
    PREDICTED,
    Answers,
    Description,
    Models,
    PredictOptions,
    problems,
)
from medzoo.serving.decoding import Decoded
from medzoo.serving.intake import Upload
from medzoo.serving.models import Answer, ServedModel
from medzoo.serving.problems import Problem
from medzoo.serving.service import Service
from medzoo.spec import SelectiveSpec
from medzoo.web import NOTICE

_PREDICT = {
    "parameters": [
        {"name": name, "in": "query", "description": schema.pop("description"), "schema": schema}
        for name, schema in PredictOptions.model_json_schema()["properties"].items()
    ],
    "requestBody": {
        "required": True,
        "description": "Images in any format that medzoo reads: PNG, JPEG, TIFF, DICOM, ...",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "images": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                        }
                    },
                    "required": ["images"],
                },
                "example": "curl -F images=@a.png -F images=@b.dcm "
                "'http://127.0.0.1:8000/v1/models/simple_cnn.pneumoniamnist/predict?top_k=1'",
            },
            "application/octet-stream": {
                "schema": {"type": "string", "format": "binary"},
                "example": "curl --data-binary @a.png -H 'Content-Type: image/png' "
                "http://127.0.0.1:8000/v1/models/simple_cnn.pneumoniamnist/predict",
            },
        },
    },
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"example": PREDICTED}}}
}

Name = Annotated[str, Path(description="The name of a model.")]
_DEFAULTS = PredictOptions.model_validate({})


def create_v1(service: Service, protected: Sequence[Any]) -> APIRouter:
    """Return the routes.

    Args:
        service: The models and what runs them.
        protected: What FastAPI checks before each of them.
    """
    router = APIRouter(prefix="/v1", tags=["medzoo"], dependencies=protected)

    @router.get("/models", response_model=Models, responses=problems(401))
    async def list_models() -> Response:
        """List the models, with their classes, licences and scores."""
        models = [dict(served.description) for served in service.models.values()]
        return _json({"models": models, "medzoo": medzoo.__version__, "notice": NOTICE})

    @router.get("/models/{name}", response_model=Description, responses=problems(401, 404))
    async def describe(name: Name) -> Response:
        """Describe a model."""
        return _json(dict(service.find(name).description))

    async def predict(request: Request, name: Name) -> Response:
        """Classify one or several images: files of a form, or one image as the body."""
        options = _options(request)
        served = service.find(name)
        if options.explain and served.unexplained:
            raise Problem(422, f"{name} cannot be explained: {served.unexplained}")
        try:
            check_views(options.tta, served.spec)
            check_threshold(options.threshold, served.spec.task, served.spec.num_classes)
            if options.abstain_above is not None:
                check_risk(options.abstain_above, served.spec, _risks(served, options))
        except ValueError as error:
            raise Problem(422, str(error)) from error
        async with service.intake.uploads(request) as uploads:
            start = time.perf_counter()
            with service.admitted(len(uploads)):
                predictions = await service.unless_given_up(
                    request, _predict(service, served, uploads, options)
                )
        return _json(
            {
                "model": name,
                "weights_sha256": served.description["weights_sha256"],
                "medzoo": medzoo.__version__,
                "notice": NOTICE,
                "milliseconds": round(1000 * (time.perf_counter() - start), 2),
                "predictions": predictions,
            }
        )

    router.add_api_route(
        "/models/{name}/predict",
        predict,
        methods=["POST"],
        response_model=Answers,
        response_model_exclude_none=True,
        responses=_ANSWERS | problems(401, 404, 408, 413, 415, 422, 503),
        openapi_extra=_PREDICT,
        route_class_override=DirectRoute,
    )
    return router


def _options(request: Request) -> PredictOptions:
    """Read the options of an address, in a tenth of the time that FastAPI takes for it."""
    if not request.scope.get("query_string"):
        return _DEFAULTS
    given = request.query_params
    if len(given) < len(given.multi_items()):
        raise Problem(422, "an option is given more than once")
    try:
        return PredictOptions.model_validate(dict(given))
    except ValidationError as error:
        places = [one | {"loc": ("query", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(places) from error


async def _predict(
    service: Service, served: ServedModel, uploads: Sequence[Upload], options: PredictOptions
) -> list[dict[str, Any]]:
    images, answers = await service.predict(served, uploads, options.tta)
    explanations: Sequence[Explanation | None] = [None] * len(images)
    if options.explain:
        explanations = await service.explain(served, images)
    return [
        _prediction(served, *one, options)
        for one in zip(uploads, images, answers, explanations, strict=True)
    ]


def _prediction(
    served: ServedModel,
    upload: Upload,
    image: Decoded,
    answer: Answer,
    explanation: Explanation | None,
    options: PredictOptions,
) -> dict[str, Any]:
    pairs = zip(served.spec.class_names, answer.probabilities.tolist(), strict=True)
    ranked = sorted(pairs, key=lambda pair: -pair[1])
    if options.threshold is not None and not served.spec.multi_label:
        second = bool(answer.probabilities[1] > options.threshold)
        decided = served.spec.class_names[second]
        ranked.sort(key=lambda pair: pair[0] != decided)
    values: dict[str, Any] = {"file": upload.name, "label": ranked[0][0]}
    if served.spec.multi_label:
        above = THRESHOLD if options.threshold is None else options.threshold
        values["labels"] = [label for label, probability in ranked if probability > above]
    values["probabilities"] = [
        {"label": label, "probability": probability}
        for label, probability in ranked[: options.top_k]
    ]
    if served.spec.conformal and answer.prediction_set is not None:
        values["prediction_set"] = answer.prediction_set
        values["coverage"] = served.spec.conformal.coverage
    if risks := _risks(served, options):
        values["risk"] = risk = risks.risk(_confidence(served, answer.probabilities))
        if options.abstain_above is not None and risk > options.abstain_above:
            values["abstained"] = True
            values |= {"labels": []} if served.spec.multi_label else {}
    if explanation:
        buffer = io.BytesIO()
        explanation.layer().save(buffer, "PNG")
        png = base64.b64encode(buffer.getvalue()).decode()
        values["explanation"] = {"label": explanation.label, "method": "HiResCAM", "png": png}
    warnings = [for_display(image.warning)] if image.warning else []
    if answer.ood_score is not None:
        values |= {"unfamiliar": answer.ood_score > 1, "ood_score": answer.ood_score}
        warnings += [UNFAMILIAR.format(answer.ood_score)] if answer.ood_score > 1 else []
    if warnings:
        values["warning"] = "; ".join(warnings)
    return values


def _risks(served: ServedModel, options: PredictOptions) -> SelectiveSpec | None:
    """Return the bounds of a model's risk, if they hold for what is asked."""
    if served.spec.selective is None:
        return None
    settings = Settings(tta=options.tta)
    return selective_for(served.spec, settings, threshold=options.threshold)


def _confidence(served: ServedModel, values: np.ndarray) -> float:
    """Return how sure a model is of its answer, as `medzoo.predict` does."""
    decided = np.maximum(values, 1 - values) if served.spec.multi_label else values.max()
    return float(decided.mean())


def _json(content: Any) -> Response:
    # Not FastAPI's own way, which would validate what was just written.
    return Response(json.dumps(content), media_type="application/json")
