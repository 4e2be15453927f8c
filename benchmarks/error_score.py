"""The exact Error Score against the scan of 1,000 thresholds that the published interface makes.

Both get the same similarities in the same run and return a score and a threshold; the p-value, which the
reference does not have, is timed apart. The last line is the median ratio over the class sizes.
Run: `python benchmarks/error_score.py`.
"""

from __future__ import annotations

import statistics
import time
import timeit
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import balanced_accuracy_score

from clarify_widget.concepts import error_score, separate

if TYPE_CHECKING:
    from collections.abc import Callable

    from clarify_widget.arrays import FloatArray

CLASS_SIZES = (500, 2_000, 20_000)
WRONG_SHARE = 0.15
NUM_THRESHOLDS = 1000


def grid_scan(wrong: FloatArray, correct: FloatArray) -> tuple[float, float]:
    """Try evenly spaced thresholds: two comparisons and their mean accuracy each, in either direction."""
    both = np.concatenate([wrong, correct])
    best_accuracy, best_threshold = 0.0, 0.0
    for threshold in np.linspace(both.min(), both.max(), NUM_THRESHOLDS):
        accuracy = np.mean([np.mean(wrong >= threshold), np.mean(correct < threshold)])
        accuracy = max(accuracy, 1 - accuracy)
        if accuracy > best_accuracy:
            best_accuracy, best_threshold = float(accuracy), float(threshold)
    return 2 * (best_accuracy - 0.5), best_threshold


def score_at(threshold: float, wrong: FloatArray, correct: FloatArray) -> float:
    """Check a threshold with scikit-learn: 2 * (balanced accuracy - 0.5), in the better direction."""
    is_wrong = np.repeat([True, False], [len(wrong), len(correct)])
    accuracy = balanced_accuracy_score(is_wrong, np.concatenate([wrong, correct]) > threshold)
    return float(abs(2 * (accuracy - 0.5)))


def best_seconds(call: Callable[[], object], repeats: int, number: int = 1) -> float:
    """Return processor time, which a busy machine stretches less for short and long calls alike."""
    return min(timeit.repeat(call, timer=time.process_time, repeat=repeats, number=number)) / number


def main() -> None:
    """Print a line for each class size, and the median ratio last."""
    rng = np.random.default_rng(0)
    ratios = []
    for size in CLASS_SIZES:
        n_wrong = int(WRONG_SHARE * size)
        wrong = rng.normal(0.22, 0.03, n_wrong).astype(np.float32)
        correct = rng.normal(0.20, 0.03, size - n_wrong).astype(np.float32)
        exact, grid = separate(wrong, correct), grid_scan(wrong, correct)
        ours = best_seconds(partial(separate, wrong, correct), repeats=50, number=10)
        with_p = best_seconds(partial(error_score, wrong, correct), repeats=5)
        theirs = best_seconds(partial(grid_scan, wrong, correct), repeats=5)
        ratios.append(theirs / ours)
        print(
            f"{size:6,} images: exact {exact.score:.4f} (scikit-learn agrees to "
            f"{abs(exact.score - score_at(exact.threshold, wrong, correct)):.0e}), grid {grid[0]:.4f} "
            f"({exact.score - grid[0]:+.4f}); {ours * 1e6:.0f} us against {theirs * 1e3:.1f} ms: "
            f"{theirs / ours:.0f}x; with the p-value {with_p * 1e3:.2f} ms",
        )
    print(f"error_score_speedup {statistics.median(ratios):.0f}")


if __name__ == "__main__":
    main()
