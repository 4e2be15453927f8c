"""Adapters: small networks on frozen embeddings, classified by the class prompts as the embeddings were.

An adapter moves image embeddings; the class whose prompt is then nearest is the answer. The three trainings
differ in the network and in the loss: cross-entropy with the class prompts for all, and for the contrastive
adapter a second loss that draws images of one class together that zero-shot classification holds apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from clarify_widget.arrays import check_labels, check_rows
from clarify_widget.errors import CancelledError, DataError
from clarify_widget.methods.zero_shot import CLIP_LOGIT_SCALE, ZeroShotHead
from clarify_widget.training import FitProgress
from clarify_widget.training.checks import check_training_labels
from clarify_widget.training.head import unit_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    import numpy.typing as npt
    import torch

    from clarify_widget.arrays import BoolArray, Float64Array, FloatArray, IntArray
    from clarify_widget.methods.problem import Classifier

    Adapt: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

Select = Literal["average", "worst_class"]

HIDDEN_WIDTH = 128
LEARNING_RATE = 3e-4
EPOCHS = 25
PATIENCE = 5  # epochs without a better validation accuracy

_WEIGHT_DECAY = 1e-4
_BATCH = 128
_LEAST_STEPS = 40  # in an epoch; small data sets are drawn from several times
_LEAST_JUDGED = 20  # validation images that make an accuracy worth comparing
_ANCHORS = 64
_POOL = 512  # images that the anchors of a batch find their positives and negatives among
_NEGATIVES = 64  # nearest images of other classes that an anchor is pushed away from


@dataclass(frozen=True, eq=False)
class AdapterHead:
    """Class prompts over adapted embeddings.

    Attributes
    ----------
    layers
        (W (in, out), b (out,)) of one or two linear layers, with a ReLU between two.
    prompts
        (C, e) unit text embeddings of the class prompts.
    logit_scale
        What cosines are multiplied by.
    epochs
        How long it was trained: the epoch that was the best on validation.
    validation_accuracy
        What made it the best.
    """

    layers: tuple[tuple[Float64Array, Float64Array], ...]
    prompts: Float64Array
    logit_scale: float
    epochs: int
    validation_accuracy: float

    def adapt(self, embeddings: npt.ArrayLike) -> Float64Array:
        """Return (n, e) adapted unit rows of image embeddings (n, e).

        Raises
        ------
        DataError
            When the width is not the prompts', or a number is NaN.
        """
        rows = check_rows(embeddings, name="embeddings")
        if rows.shape[1] != self.prompts.shape[1]:
            raise DataError(
                f"This adapter takes embeddings of width {self.prompts.shape[1]}; got {rows.shape[1]}."
            )
        hidden = unit_rows(rows)
        for depth, (weights, bias) in enumerate(self.layers):
            hidden = (hidden if depth == 0 else np.maximum(hidden, 0)) @ weights + bias
        return unit_rows(hidden)

    def decision_function(self, embeddings: npt.ArrayLike) -> Float64Array:
        """Return (n, C) logits of image embeddings (n, e)."""
        logits: Float64Array = self.logit_scale * self.adapt(embeddings) @ self.prompts.T
        return logits

    def predict(self, embeddings: npt.ArrayLike) -> IntArray:
        """Return (n,) class indices of image embeddings (n, e)."""
        classes: IntArray = np.argmax(self.decision_function(embeddings), axis=1)
        return classes


def train_linear_adapter(
    embeddings: npt.ArrayLike,
    labels: npt.ArrayLike,
    class_prompts: npt.ArrayLike,
    validation: tuple[npt.ArrayLike, npt.ArrayLike],
    *,
    learning_rate: float = LEARNING_RATE,
    epochs: int = EPOCHS,
    logit_scale: float = CLIP_LOGIT_SCALE,
    select: Select = "average",
    seed: int = 0,
    progress: Callable[[FitProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> AdapterHead:
    """Train one linear layer from embeddings to embeddings by cross-entropy with the class prompts.

    Parameters
    ----------
    embeddings
        (n, e) image embeddings of train; scaled to unit rows.
    labels
        (n,) class indices 0..C-1, each class present.
    class_prompts
        (C, e) text embeddings, one a class; see `prompt_embeddings`.
    validation
        Embeddings (m, e) and labels (m,) of the images that decide when to stop.
    learning_rate
        Of AdamW.
    epochs
        At most so many passes, of 40 steps or more; training stops after 5 without a better validation
        accuracy, and the best adapter is kept.
    logit_scale
        What cosines are multiplied by to make logits; CLIP's is 100.
    select
        Which validation accuracy decides: of all images, or of the worst class. Groups are never looked at.
    seed
        Of the starting weights and the batches; the same seed gives the same adapter.
    progress
        Called after every epoch.
    cancelled
        Asked before every step.

    Raises
    ------
    DataError
        When shapes, labels or settings do not fit.
    CancelledError
        When `cancelled` says so.

    Notes
    -----
    Zhang and Re, "Contrastive adapters for foundation model group robustness" (NeurIPS 2022), section 3.
    """
    images = _images(embeddings, labels, class_prompts, validation)
    settings = _Settings(learning_rate, epochs, logit_scale, seed, hidden_width=None)
    loss = partial(_cross_entropy, weights=np.ones(len(images.labels)))
    return _fit(images, settings, loss, _validation_cells(images, select), progress, cancelled)


def train_erm_adapter(
    embeddings: npt.ArrayLike,
    labels: npt.ArrayLike,
    class_prompts: npt.ArrayLike,
    validation: tuple[npt.ArrayLike, npt.ArrayLike],
    *,
    hidden_width: int = HIDDEN_WIDTH,
    learning_rate: float = LEARNING_RATE,
    epochs: int = EPOCHS,
    logit_scale: float = CLIP_LOGIT_SCALE,
    select: Select = "average",
    seed: int = 0,
    progress: Callable[[FitProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> AdapterHead:
    """Train a two-layer adapter by cross-entropy with the class prompts: the papers' "ERM adapter".

    Parameters
    ----------
    embeddings, labels, class_prompts, validation
        As in `train_linear_adapter`.
    hidden_width
        Of the bottleneck; 128 in the paper's code.
    learning_rate, epochs, logit_scale, select, seed, progress, cancelled
        As in `train_linear_adapter`.

    Raises
    ------
    DataError
        When shapes, labels or settings do not fit.
    CancelledError
        When `cancelled` says so.

    Notes
    -----
    Zhang and Re (NeurIPS 2022): linear, batch normalisation, ReLU, linear; no residual connection in the
    settings of their code for Waterbirds.
    """
    images = _images(embeddings, labels, class_prompts, validation)
    settings = _Settings(learning_rate, epochs, logit_scale, seed, hidden_width)
    loss = partial(_cross_entropy, weights=np.ones(len(images.labels)))
    return _fit(images, settings, loss, _validation_cells(images, select), progress, cancelled)


def train_contrastive_adapter(
    embeddings: npt.ArrayLike,
    labels: npt.ArrayLike,
    class_prompts: npt.ArrayLike,
    validation: tuple[npt.ArrayLike, npt.ArrayLike],
    *,
    source: Classifier | None = None,
    temperature: float = 0.1,
    hidden_width: int = HIDDEN_WIDTH,
    learning_rate: float = LEARNING_RATE,
    epochs: int = EPOCHS,
    logit_scale: float = CLIP_LOGIT_SCALE,
    select: Select | Literal["worst_pseudo_group"] = "worst_pseudo_group",
    seed: int = 0,
    progress: Callable[[FitProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> AdapterHead:
    """Train a two-layer adapter to bring together what zero-shot classification holds apart.

    Anchors are the training images that the source model gets wrong. Their positives are images of the same
    class that it gets right, their negatives the nearest images of other classes in the frozen embeddings. To
    this contrastive loss comes the cross-entropy with the class prompts, over a sample in which the wrong
    and the right images of every class count equally. No group labels are used.

    Parameters
    ----------
    embeddings, labels, class_prompts, validation
        As in `train_linear_adapter`.
    source
        The model whose mistakes tell what is held apart: anything that predicts from embeddings; by default
        zero-shot classification by the class prompts. Where it makes no mistake in train only the
        cross-entropy is left.
    temperature
        Of the contrastive loss.
    select
        Also "worst_pseudo_group": the worst accuracy among the wrong and the right images of every class,
        as the source model has it; a class with fewer than 20 of either is judged as a whole. A validation
        set that is as biased as train hides its minorities from the average and from the worst class, and
        then training stops far too early.
    hidden_width, learning_rate, epochs, logit_scale, seed, progress, cancelled
        As in `train_erm_adapter`.

    Raises
    ------
    DataError
        When shapes, labels or settings do not fit.
    CancelledError
        When `cancelled` says so.

    Notes
    -----
    Zhang and Re (NeurIPS 2022), section 4: anchors, positives, negatives and temperature 0.1 as there. Their
    code alternates epochs of the two losses, gives every anchor up to 2048 positives and 2048 negatives of
    its own, and stops by the worst *group* of validation. Here both losses are taken in every step, the
    anchors of a batch share a pool of images, and the worst pseudo-group decides.
    """
    images = _images(embeddings, labels, class_prompts, validation)
    if not (np.isfinite(temperature) and temperature > 0):
        raise DataError(f"temperature must be a positive number; got {temperature}.")
    if source is None:
        source = ZeroShotHead(images.prompts, np.arange(len(images.prompts)))
    right = source.predict(images.rows) == images.labels
    cells = 2 * images.labels + right
    val_cells = _validation_cells(images, select, source)
    settings = _Settings(learning_rate, epochs, logit_scale, seed, hidden_width)
    losses = [partial(_cross_entropy, weights=1 / np.bincount(cells)[cells])]
    if not right.all():
        losses.append(partial(_contrast, right=right, temperature=temperature))
    return _fit(images, settings, partial(_sum_of, losses=losses), val_cells, progress, cancelled)


def contrastive_loss(
    cosines: torch.Tensor,
    positive: torch.Tensor,
    negative: torch.Tensor,
    temperature: float,
) -> torch.Tensor:
    """Return the mean over anchors of the mean over positives of the contrastive loss.

    Parameters
    ----------
    cosines
        (a, m) similarities of adapted anchors and adapted candidates.
    positive, negative
        (a, m) bool: which candidates are an anchor's positives and its negatives. Anchors without a positive
        are left out.
    temperature
        T.

    Returns
    -------
    Scalar: -log(exp(s_p / T) / (exp(s_p / T) + sum over negatives of exp(s_n / T))) for a positive p.

    Notes
    -----
    Zhang and Re (NeurIPS 2022), the supervised contrastive loss of section 4.
    """
    import torch

    scaled = cosines / temperature
    pushed = torch.logsumexp(scaled.masked_fill(~negative, -torch.inf), dim=1, keepdim=True)
    losses = torch.logaddexp(scaled, pushed) - scaled
    counts = positive.sum(dim=1)
    of_anchor = torch.where(positive, losses, 0.0).sum(dim=1) / counts.clamp(min=1)
    return of_anchor.sum() / (counts > 0).sum().clamp(min=1)


@dataclass(frozen=True, eq=False)
class _Images:
    """What an adapter is trained on, checked."""

    rows: Float64Array  # (n, e) unit rows
    labels: IntArray
    prompts: Float64Array  # (C, e) unit rows
    val_embeddings: FloatArray
    val_labels: IntArray


@dataclass(frozen=True)
class _Settings:
    learning_rate: float
    epochs: int
    logit_scale: float
    seed: int
    hidden_width: int | None  # None: one linear layer

    def __post_init__(self) -> None:
        for name in ("learning_rate", "logit_scale"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise DataError(f"{name} must be a positive number; got {value}.")
        for name in ("epochs", "hidden_width"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise DataError(f"{name} must be 1 or more; got {count}.")


@dataclass(frozen=True, eq=False)
class _Batches:
    """The training images as tensors, and the chance with which batches are drawn of them."""

    rows: torch.Tensor
    labels: torch.Tensor
    prompts: torch.Tensor
    logit_scale: float
    chance: torch.Generator

    def draw(self, weights: npt.ArrayLike, count: int) -> torch.Tensor:
        """Return (count,) indices drawn with replacement in proportion to weights (n,)."""
        import torch

        shares = torch.as_tensor(weights, dtype=torch.float64).cumsum(dim=0)
        drawn = torch.rand(count, dtype=torch.float64, generator=self.chance) * shares[-1]
        return torch.searchsorted(shares, drawn, right=True).clamp(max=len(shares) - 1)


def _images(
    embeddings: npt.ArrayLike,
    labels: npt.ArrayLike,
    class_prompts: npt.ArrayLike,
    validation: tuple[npt.ArrayLike, npt.ArrayLike],
) -> _Images:
    rows = check_rows(embeddings, name="embeddings")
    prompts = check_rows(class_prompts, name="class_prompts")
    zero_shot = ZeroShotHead(prompts, np.arange(len(prompts)))
    classes = check_training_labels(labels, zero_shot.num_classes, length=len(rows))
    val_labels = check_labels(validation[1], num_classes=zero_shot.num_classes, name="validation labels")
    val_rows = check_rows(validation[0], length=len(val_labels), name="validation embeddings")
    if not len(val_labels):
        raise DataError("There are no validation images to decide when to stop.")
    width = zero_shot.prototypes.shape[1]
    for name, part in (("embeddings", rows), ("validation embeddings", val_rows)):
        if part.shape[1] != width:
            raise DataError(f"class_prompts has width {width} and {name} {part.shape[1]}; use one encoder.")
    return _Images(unit_rows(rows), classes, unit_rows(prompts), val_rows, val_labels)


def _validation_cells(images: _Images, select: str, source: Classifier | None = None) -> IntArray:
    """Return (m,) cells of the validation images; the worst cell's accuracy tells how good an epoch is."""
    labels = images.val_labels
    cells = {"average": np.zeros_like(labels), "worst_class": labels}
    if source is not None:
        cells["worst_pseudo_group"] = _pseudo_groups(labels, source.predict(images.val_embeddings) == labels)
    if select not in cells:
        raise DataError(f"select must be one of {sorted(cells)}; got {select!r}.")
    return cells[select]


def _pseudo_groups(labels: IntArray, right: BoolArray) -> IntArray:
    """Return (m,) cells 2 * class + right; a class with a side too small to judge is one cell."""
    cells = 2 * labels + right
    sizes = np.bincount(cells, minlength=2 * (int(labels.max()) + 1)).reshape(-1, 2)
    return np.where((sizes.min(axis=1) < _LEAST_JUDGED)[labels], 2 * labels, cells)


def _fit(
    images: _Images,
    settings: _Settings,
    loss_of: Callable[[Adapt, _Batches], torch.Tensor],
    val_cells: IntArray,
    progress: Callable[[FitProgress], None] | None,
    cancelled: Callable[[], bool] | None,
) -> AdapterHead:
    """Train until the worst validation cell gets no better, and return the adapter that had it best."""
    import torch

    chance = torch.Generator().manual_seed(settings.seed)
    batches = _Batches(
        torch.as_tensor(images.rows, dtype=torch.float32),
        torch.as_tensor(images.labels),
        torch.as_tensor(images.prompts, dtype=torch.float32),
        settings.logit_scale,
        chance,
    )
    network = _network(images.rows.shape[1], settings.hidden_width, chance)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=_WEIGHT_DECAY)
    steps = max(-(-len(images.labels) // _BATCH), _LEAST_STEPS)
    best: AdapterHead | None = None
    for epoch in range(1, settings.epochs + 1):
        total = 0.0
        for _ in range(steps):
            if cancelled is not None and cancelled():
                raise CancelledError("Training was cancelled; nothing was changed.")
            optimizer.zero_grad()
            loss = loss_of(lambda rows: torch.nn.functional.normalize(network(rows), dim=1), batches)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves Tensor.backward untyped
            optimizer.step()
            total += loss.item()
        adapter = _judged(_layers(network), epoch, images, settings, val_cells)
        if best is None or adapter.validation_accuracy > best.validation_accuracy:
            best = adapter
        if progress is not None:
            progress(FitProgress(epoch, total / steps, _gradient_norm(network), epoch / settings.epochs))
        if epoch - best.epochs >= PATIENCE:
            break
    assert best is not None
    return best


def _network(width: int, hidden_width: int | None, chance: torch.Generator) -> torch.nn.Sequential:
    """Return the adapter with torch's usual starting weights, drawn without touching the global chance."""
    import torch

    def linear(inputs: int, outputs: int) -> torch.nn.Linear:
        layer = torch.nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")
        bound = inputs**-0.5
        for parameter in layer.parameters():
            torch.nn.init.uniform_(parameter, -bound, bound, generator=chance)
        return layer

    if hidden_width is None:
        return torch.nn.Sequential(linear(width, width))
    return torch.nn.Sequential(
        linear(width, hidden_width),
        torch.nn.BatchNorm1d(hidden_width),
        torch.nn.ReLU(),
        linear(hidden_width, width),
    )


def _cross_entropy(adapt: Adapt, batches: _Batches, *, weights: npt.ArrayLike) -> torch.Tensor:
    import torch

    batch = batches.draw(weights, _BATCH)
    logits = batches.logit_scale * adapt(batches.rows[batch]) @ batches.prompts.T
    return torch.nn.functional.cross_entropy(logits, batches.labels[batch])


def _contrast(adapt: Adapt, batches: _Batches, *, right: BoolArray, temperature: float) -> torch.Tensor:
    import torch

    labels = batches.labels
    anchors = batches.draw(~right, _ANCHORS)
    pool = batches.draw(1 / np.bincount(labels.numpy())[labels.numpy()], _POOL)
    same_class = labels[anchors][:, None] == labels[pool]
    positive = same_class & torch.as_tensor(right)[pool]
    frozen = (batches.rows[anchors] @ batches.rows[pool].T).masked_fill(same_class, -torch.inf)
    nearest = frozen.topk(_NEGATIVES, dim=1).indices
    negative = torch.zeros_like(same_class).scatter(1, nearest, value=True) & ~same_class
    adapted = adapt(batches.rows[torch.cat([anchors, pool])])
    cosines = adapted[: len(anchors)] @ adapted[len(anchors) :].T
    return contrastive_loss(cosines, positive, negative, temperature)


def _sum_of(adapt: Adapt, batches: _Batches, *, losses: list[Any]) -> torch.Tensor:
    total: torch.Tensor = sum(loss(adapt, batches) for loss in losses)
    return total


def _judged(
    layers: tuple[tuple[Float64Array, Float64Array], ...],
    epoch: int,
    images: _Images,
    settings: _Settings,
    val_cells: IntArray,
) -> AdapterHead:
    adapter = AdapterHead(layers, images.prompts, settings.logit_scale, epoch, validation_accuracy=0.0)
    right = adapter.predict(images.val_embeddings) == images.val_labels
    accuracy = min(float(right[val_cells == cell].mean()) for cell in np.unique(val_cells))
    return replace(adapter, validation_accuracy=accuracy)


def _layers(network: torch.nn.Sequential) -> tuple[tuple[Float64Array, Float64Array], ...]:
    """Return the network as it predicts, with the batch normalisation folded into the layer before it."""
    import torch

    arrays: list[tuple[Float64Array, Float64Array]] = []
    for part in network:
        if isinstance(part, torch.nn.Linear):
            arrays.append((_numpy(part.weight).T, _numpy(part.bias)))
        elif isinstance(part, torch.nn.BatchNorm1d):
            assert part.running_mean is not None
            assert part.running_var is not None
            gain = _numpy(part.weight) / np.sqrt(_numpy(part.running_var) + part.eps)
            weights, bias = arrays.pop()
            arrays.append((weights * gain, (bias - _numpy(part.running_mean)) * gain + _numpy(part.bias)))
    return tuple(arrays)


def _numpy(tensor: torch.Tensor) -> Float64Array:
    return np.array(tensor.detach().numpy(), dtype=np.float64)


def _gradient_norm(network: torch.nn.Sequential) -> float:
    gradients = [_numpy(part.grad).ravel() for part in network.parameters() if part.grad is not None]
    return float(np.linalg.norm(np.concatenate(gradients)))
