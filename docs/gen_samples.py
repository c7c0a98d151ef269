"""Draws sample images, and writes what the published models answer to them: docs/images/samples.

    python docs/gen_samples.py            # write images, heat maps and samples.json
    python docs/gen_samples.py --check    # fail if the models answer differently today

The landing page shows them. Nothing is made up: labels and probabilities are those of
`medzoo.predict`, heat maps those of `medzoo.explain`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from drawings import DRAWINGS  # noqa: E402

import medzoo  # noqa: E402

FOLDER = ROOT / "docs" / "images" / "samples"
ARCHITECTURE = "simple_cnn"
SHOWN = 2  # classes of each image
TOLERANCE = 0.02
"""By how much a probability may differ: machines round differently."""


def answers() -> tuple[list[dict[str, Any]], dict[str, medzoo.Explanation]]:
    """Return what the models answer to the drawings, and their heat maps by data set."""
    samples, explanations = [], {}
    for name, draw in DRAWINGS.items():
        image = draw()
        model = medzoo.create_model(f"{ARCHITECTURE}.{name}", pretrained=True)
        prediction = medzoo.predict(model, image, top_k=SHOWN)
        explanations[name] = medzoo.explain(model, image)
        samples.append(
            {
                "dataset": name,
                "title": medzoo.dataset_info(name).title,
                "drawing": (draw.__doc__ or "").splitlines()[0].removeprefix("Draw ").rstrip("."),
                "model": f"{ARCHITECTURE}.{name}",
                "probabilities": [
                    {"label": label, "probability": round(float(probability), 3)}
                    for label, probability in prediction.probabilities.items()
                ],
            }
        )
    return samples, explanations


def differences(recorded: list[dict[str, Any]], today: list[dict[str, Any]]) -> list[str]:
    """Return which answers are not those of the file, beyond rounding."""
    by_model = {sample["model"]: sample["probabilities"] for sample in recorded}
    found = []
    for sample in today:
        old, new = by_model.get(sample["model"], []), sample["probabilities"]
        same = [one["label"] for one in old] == [one["label"] for one in new] and all(
            abs(one["probability"] - other["probability"]) <= TOLERANCE
            for one, other in zip(old, new, strict=True)
        )
        if not same:
            found.append(f"{sample['model']}: {old} is now {new}")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare with the file")
    options = parser.parse_args(arguments)
    samples, explanations = answers()
    file = FOLDER / "samples.json"
    if options.check:
        changed = differences(json.loads(file.read_text(encoding="utf-8")), samples)
        print(
            "\n".join([*changed, "run python docs/gen_samples.py"] if changed else ["up to date"])
        )
        return 1 if changed else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(samples, indent=2) + "\n", encoding="utf-8")
    for name, explanation in explanations.items():
        explanation.image.save(FOLDER / f"{name}.jpg", quality=88)
        explanation.overlay.save(FOLDER / f"{name}-heat.jpg", quality=88)
    print(f"{FOLDER.relative_to(ROOT)}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
