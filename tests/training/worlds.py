"""Small random classification problems, and objectives written down a second time for checking."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax


def random_problem(seed, n=200, d=6, num_classes=2):
    """Features (n, d), labels and groups with every class and group present; groups are skewed."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(num_classes, size=n)
    labels[:num_classes] = np.arange(num_classes)
    side = (rng.random(n) < 0.2).astype(int)
    side[: 2 * num_classes] = np.repeat([0, 1], num_classes)
    labels[num_classes : 2 * num_classes] = np.arange(num_classes)
    centres = rng.normal(size=(num_classes, d))
    features = centres[labels] + 2 * rng.normal(size=d) * side[:, None] + rng.normal(size=(n, d)) + 3
    return features, labels, 2 * labels + side


def standardised(features):
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    return (unit - unit.mean(axis=0)) / unit.std(axis=0)


def losses(head, features, labels):
    """(n,) cross-entropies of a head's own logits."""
    logits = standardised(features) @ head.weights + head.bias
    return -log_softmax(logits, axis=1)[np.arange(len(labels)), labels]


def penalty(head):
    return head.l2 / 2 * np.sum(head.weights**2)


def worst_mean(values, cells):
    return max(values[cells == cell].mean() for cell in np.unique(cells))
