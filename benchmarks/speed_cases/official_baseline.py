"""Train ResNet-18 on DermaMNIST with the settings of the official MedMNIST script.

    python -m benchmarks.speed_cases.official_baseline --data-root <folder> [--seconds 3600]

Adam at 1e-3, batches of 128, the learning rate divided by 10 after half and three quarters of 100
epochs, no augmentation. After each epoch the three splits are evaluated by the Evaluator of
medmnist, as in the script, and one line of JSON is printed. It stops after the first epoch whose
test ACC and AUC both reach the published figures, or when the time is over.
"""

from __future__ import annotations

import time

_STARTED = time.perf_counter()  # before the imports, which are part of the waiting time

import argparse  # noqa: E402
import json  # noqa: E402
from pathlib import Path  # noqa: E402

import medmnist  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

from benchmarks.speed_cases.peers import (  # noqa: E402
    BATCH,
    dermamnist,
    official_resnet18,
    official_transform,
)

ACC, AUC = 0.735, 0.917
"""Figures of MedMNIST v2 (Yang et al., 2023) for ResNet-18 on DermaMNIST at 28 x 28."""
EPOCHS = 100


def evaluate(
    model: nn.Module, folder: Path, split: str, device: torch.device
) -> tuple[float, float]:
    """Return AUC and ACC of a split, computed by the Evaluator of medmnist.

    Args:
        model: The model; left in evaluation mode.
        folder: Folder of the DermaMNIST file.
        split: Name of the split.
        device: Where the model is.
    """
    loader = DataLoader(dermamnist(folder, official_transform(), split), 2 * BATCH, shuffle=False)
    model.eval()
    with torch.no_grad():
        scores = torch.cat([model(images.to(device)).softmax(1).cpu() for images, _ in loader])
    evaluator = medmnist.Evaluator("dermamnist", split, root=str(folder))
    metrics = evaluator.evaluate(scores.numpy())
    return float(metrics.AUC), float(metrics.ACC)


def train(folder: Path, seconds: float, device: torch.device, seed: int = 0) -> None:
    """Train until the figures are reached or the time is over; print one line per epoch.

    Args:
        folder: Folder of the DermaMNIST file.
        seconds: When to give up.
        device: Where it is trained.
        seed: Seed of the initial weights and the order of the images.
    """
    torch.manual_seed(seed)
    model = official_resnet18().to(device)
    train_data = dermamnist(folder, official_transform())
    loader = DataLoader(train_data, BATCH, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    milestones = [EPOCHS // 2, EPOCHS * 3 // 4]
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.1)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(1, EPOCHS + 1):
        model.train()
        for images, labels in loader:
            optimizer.zero_grad()
            targets = labels.to(device).squeeze(1).long()
            criterion(model(images.to(device)), targets).backward()
            optimizer.step()
        scheduler.step()
        trained = time.perf_counter() - _STARTED
        _, _, (auc, acc) = (
            evaluate(model, folder, split, device) for split in ("train", "val", "test")
        )
        elapsed = time.perf_counter() - _STARTED
        reached = acc >= ACC and auc >= AUC
        row = {"epoch": epoch, "trained": trained, "seconds": elapsed, "auc": auc, "acc": acc}
        print(json.dumps(row | {"reached": reached}), flush=True)
        if reached or elapsed >= seconds:
            return


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-root", type=Path, required=True, help="folder of dermamnist.npz")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="when to give up")
    parser.add_argument("--device", type=torch.device, default="cpu", help="where (%(default)s)")
    arguments = parser.parse_args()
    train(arguments.data_root, arguments.seconds, arguments.device)


if __name__ == "__main__":
    main()
