"""Finished trainings as the recorded figures were measured: before calibration."""

from __future__ import annotations

from dataclasses import replace

import medzoo


def uncalibrated(run: medzoo.Run) -> medzoo.Run:
    """Return a run whose model has the temperature 1, with the scores that chose its epoch.

    The recorded trainings were scored, and taught their students, without a temperature. It moves
    the AUC of more than two classes in the fourth digit, so it is left out wherever figures are
    compared with recorded ones. The weights file of the run keeps it.

    Args:
        run: The finished run; its model is changed.
    """
    run.model.spec = run.model.spec.uncalibrated()
    best = run.history[run.best_epoch - 1]
    return replace(run, val_auc=best["val_auc"], val_acc=best["val_acc"])
