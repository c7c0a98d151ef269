"""Use a trained backbone as it is, with a simple classifier on top.

You learn:

- to fit a logistic regression (a "linear probe") or a nearest-neighbour vote to
  a fixed backbone's features: it takes seconds, and is a good first step when there
  are few labelled images;
- to compare with an untrained backbone: only an improvement over that was learned
  in training.

The setting (how strong the penalty is, how many neighbours vote) is chosen on
the validation split; the test split is read once, for the chosen one.
"""

import torch

import medzoo

data = medzoo.synthetic("breastmnist", n_train=128, n_val=64, n_test=64)
print(data)

torch.manual_seed(0)
backbones = {
    "untrained": medzoo.create_model("advanced_cnn"),
    "DermaMNIST": "advanced_cnn.dermamnist",
}
for name, backbone in backbones.items():
    linear = medzoo.linear_probe(backbone, data)
    votes = medzoo.knn_probe(backbone, data)
    print(f"\n{name} backbone")
    print(f"  linear probe, C = {linear.setting:g}: test AUC {linear.test.auc:.3f}")
    print(f"  {votes.setting} nearest neighbours: test AUC {votes.test.auc:.3f}")

# A probe is a model like any other.
print(f"\n{medzoo.predict(linear.probe, data.test.images[0])}")
