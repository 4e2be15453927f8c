"""What one process and several train to be compared, and what each of several does in a test.

Started as `python -m tests.training.shared_rows WHAT FOLDER`, by torchrun or with its variables set; what a
process found is written to FOLDER/<rank>.pickle.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import weakref
from pathlib import Path
from unittest import mock

import numpy as np
import torch.distributed as dist

from clarify_widget.errors import ClarifyError
from clarify_widget.training import OBJECTIVES, StandardisedFeatures, rows, train_head, train_heads
from tests.training.worlds import random_problem

SHARES = {1: (0, 1), 2: (0, 0.3, 1), 3: (0, 0.2, 0.2, 1)}  # the second of three has no rows


class Rows:
    """The rows of one process, sorted by label, so that it has not all classes."""

    def __init__(self, rank=0, size=1, *, num_classes=2, n=160, d=5):
        features, labels, cells = random_problem(0, n=n, d=d, num_classes=num_classes)
        start, end = (round(share * n) for share in SHARES[size][rank : rank + 2])
        here = np.argsort(labels, kind="stable")[start:end]
        self.features, self.labels, self.groups = features[here], labels[here], cells[here] % 2
        self.slices = np.where(self.labels == 0, cells[here], -1)
        self.weights = np.random.default_rng(0).random((2, n))[:, here]


def heads(num_classes, rank=0, size=1, process_group=None):
    """Yield (name, head) of every objective and every kind of rows."""
    together = {"l2": 0.3, "process_group": process_group}
    own = Rows(rank, size, num_classes=num_classes)
    prepared = StandardisedFeatures.of(own.features, process_group)
    cells = {"slices": own.slices, "groups": own.groups}
    for objective in OBJECTIVES:
        head = train_head(prepared, own.labels, objective, **cells, **together)
        yield objective, head
    yield "initial", train_head(prepared, own.labels, "dfr", initial=head, **cells, **together)
    yield "weighted", train_head(own.features, own.labels, sample_weight=own.weights[0], **together)
    several = train_heads(own.features, own.labels, own.weights, **together)
    yield from ((f"head {number} of several", head) for number, head in enumerate(several))
    with mock.patch.multiple(rows, COPY_LIMIT=0, DOUBLE_PRECISION_LIMIT=0):
        half = own.features.astype(np.float16)
        yield "half precision", train_head(half, own.labels, **together)
    wide = Rows(rank, size, num_classes=num_classes, n=90, d=120)
    yield "more columns than rows", train_head(wide.features, wide.labels, **together)


def failures(rank, size):
    """Yield (name, error) of calls that are wrong in the last process or in all; None for no error."""
    own = Rows(rank, size)
    bad = rank == size - 1

    def tried(features=own.features, labels=own.labels, *options, **named):
        try:
            train_head(features, labels, *options, process_group="world", **named)
        except ClarifyError as error:
            return type(error).__name__, str(error)
        return None

    def interrupted(step):
        if bad and step.iteration == 2:
            raise KeyError("a callback")

    yield "NaN", tried(np.where(bad, np.nan, own.features))
    yield "width", tried(own.features[:, : 4 if bad else 5])
    yield "flat", tried(own.features[0] if bad else own.features)
    yield "apart", tried(StandardisedFeatures.of(random_problem(rank, d=5)[0]))
    yield "prepared", tried(StandardisedFeatures.of(own.features) if bad else own.features)
    yield "negative", tried(labels=own.labels - 2 * bad)
    yield "short", tried(labels=own.labels[bad:])
    yield "names", tried(labels=np.array(["square", "oval"])[own.labels] if bad else own.labels)
    yield "absent", tried(labels=np.where(own.labels == 1, 2, own.labels))
    yield "none", tried(own.features[:0], own.labels[:0])
    yield "mixed slices", tried(own.features, own.labels, "slice_balanced", np.zeros(len(own.labels), int))
    yield "slices here", tried(own.features, own.labels, "slice_balanced", own.slices if bad else None)
    yield "negative weight", tried(sample_weight=own.weights[0] - bad)
    yield "l2", tried(l2=0.1 if bad else 0.2)
    yield "no l2", tried(l2=0.0)
    yield "objective", tried(own.features, own.labels, "worst_class" if bad else "erm")
    yield "initial", tried(initial=train_head(*random_problem(1, d=7)[:2]))
    yield "reference", tried(solver="reference")
    yield "device", tried(device="tpu" if bad else None)
    yield "cancelled", tried(cancelled=iter([False, False, bad, False]).__next__)
    yield "callback", tried(progress=interrupted)
    yield "after all of them", tried()


def compared(rank, size):
    """Return everything that is compared with one process."""
    steps = []
    own = Rows(rank, size)
    train_head(own.features, own.labels, process_group="world", progress=steps.append)
    found = {
        "heads": dict(heads(size, rank, size, "world")),
        "failures": dict(failures(rank, size)),
        "progress": [(step.iteration, step.loss, step.fraction, step.head().weights) for step in steps],
    }
    last = dist.new_group(range(1, size))
    if rank > 0:
        part = Rows(rank - 1, size - 1)
        found["subgroup"] = train_head(part.features, part.labels, process_group=last)
    return found


def killed(rank, size):
    """Train, and end without a word in the middle of it in the second process."""

    def step(progress):
        if rank == 1 and progress.iteration == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    own = Rows(rank, size)
    return train_head(own.features, own.labels, process_group="world", progress=step)


def failed(rank, size):
    """Train on labels that are wrong in the second process."""
    own = Rows(rank, size)
    return train_head(own.features, own.labels[rank:], process_group="world")


def main(what, folder):
    dist.init_process_group("gloo")
    rank, group = dist.get_rank(), weakref.ref(dist.group.WORLD)
    work = {"compared": compared, "killed": killed, "failed": failed}[what]
    found = work(rank, dist.get_world_size())
    Path(folder, f"{rank}.pickle").write_bytes(pickle.dumps(found))
    dist.destroy_process_group()
    assert group() is None, "who still holds it makes gloo abort when Python ends"


if __name__ == "__main__":
    main(*sys.argv[1:])
