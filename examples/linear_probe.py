"""Use a trained trunk as a fixed feature extractor.

You learn:

- how to turn images into feature vectors: a model made with ``num_classes=0``
  has no classifier and gives what the classifier would have seen;
- how to fit scikit-learn's logistic regression to them (a "linear probe"),
  which takes seconds and is a good first try when there are few labelled
  images;
- to compare with an untrained trunk: only what is better than that was learned
  by training.
"""

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import medzoo
from medzoo.evaluation import predict_logits

data = medzoo.synthetic("breastmnist", n_train=256, n_val=128)
print(data)

torch.manual_seed(0)
# The trunk saw colour; gray images are adapted to it.
trunks = {
    "untrained": medzoo.create_model("advanced_cnn", num_classes=0),
    "DermaMNIST": medzoo.create_model("advanced_cnn.dermamnist", pretrained=True, num_classes=0),
}
for name, trunk in trunks.items():
    train, val = (predict_logits(trunk, split.images) for split in (data.train, data.val))
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    probe.fit(train, data.train.labels)
    auc = roc_auc_score(data.val.labels, probe.predict_proba(val)[:, 1])
    print(f"{name:<11} trunk: {train.shape[1]} features an image, validation AUC {auc:.3f}")
