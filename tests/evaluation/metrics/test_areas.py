import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from medzoo.evaluation.metrics.areas import weighted_areas


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    images=st.integers(2, 40),
    levels=st.sampled_from([1, 3, 10, 10**6]),
)
def test_weighted_areas_are_those_of_scikit_learn_ties_and_all(seed, images, levels):
    rng = np.random.default_rng(seed)
    positive = rng.random(images) < 0.5
    positive[:2] = True, False
    scores = rng.integers(0, levels, images) / levels
    weights = rng.integers(0, 4, (images, 5)).astype(float)
    weights[:2] += 1
    for found, expected in zip(
        weighted_areas(positive, scores, weights),
        (roc_auc_score, average_precision_score),
        strict=True,
    ):
        theirs = [expected(positive, scores, sample_weight=column) for column in weights.T]
        assert found == pytest.approx(theirs, abs=1e-12)


def test_areas_without_positives_or_negatives():
    positive, scores = np.array([True, False]), np.array([0.3, 0.2])
    auc, average_precision = weighted_areas(positive, scores, np.eye(2))
    assert np.isnan(auc).all()
    assert average_precision == pytest.approx([1, np.nan], nan_ok=True)
