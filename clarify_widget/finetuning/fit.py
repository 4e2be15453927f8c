"""Fine-tune the projections into the joint space on cached outputs of the towers."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from clarify_widget.arrays import check_labels
from clarify_widget.encoders.inputs import weights_digest
from clarify_widget.errors import CancelledError, DataError
from clarify_widget.evaluation import Evaluation, evaluate
from clarify_widget.finetuning import losses
from clarify_widget.finetuning.projections import image_projection, text_projection, unit, with_projections
from clarify_widget.finetuning.settings import Losses, Settings
from clarify_widget.training.checks import check_training_labels
from clarify_widget.training.head import FitReport, LinearHead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt
    from torch import Tensor, nn

    from clarify_widget.arrays import Float32Array, IntArray
    from clarify_widget.encoders.open_clip import OpenClipEncoder
    from clarify_widget.finetuning.settings import Objective
    from clarify_widget.finetuning.towers import CachedTowers

_IMAGES_AT_ONCE = 1024
_PROMPTS_A_STEP = 2048
_FEWEST_TEMPLATES = 2  # L_lc compares prompts of one class
_GROUP_STEP = 0.01  # eta_q of group DRO, as published with it
_HIGHEST_LOG_SCALE = math.log(100)  # of CLIP's training, which is unsteady above


@dataclass(frozen=True)
class Epoch:
    """How validation stands after an epoch; epoch 0 is the model as it came.

    Attributes
    ----------
    loss
        The mean of what its steps minimised; nan for epoch 0.
    worst, average
        The lowest accuracy of a validation group or slice, and that of all validation images.
    """

    number: int
    loss: float
    worst: float
    average: float


@dataclass(frozen=True)
class FinetuneProgress:
    """Where a fine-tuning stands after a step.

    Attributes
    ----------
    loss
        What the step minimised.
    validation
        After the last whole epoch.
    fraction
        How much is done, 0..1.
    seconds_left
        A guess from the time taken so far.
    """

    epoch: int
    epochs: int
    loss: float
    validation: Epoch
    fraction: float
    seconds_left: float


@dataclass(frozen=True, eq=False)
class FineTuned:
    """Projections into the joint space, on the towers that they were trained for.

    Attributes
    ----------
    towers
        The data set and the frozen towers.
    objective
        What was minimised, in words; "pre-trained" where nothing was.
    image, text
        The projections.
    log_scale
        The logarithm of what cosines are multiplied by, 1 / temperature.
    history
        Validation after every epoch.
    best_epoch
        The one that was kept.
    """

    towers: CachedTowers
    objective: str
    image: nn.Module
    text: nn.Module
    log_scale: Tensor
    history: tuple[Epoch, ...] = ()
    best_epoch: int = 0

    @cached_property
    def encoder(self) -> OpenClipEncoder:
        """The whole model, for `Session`, for `encoder.save(folder)`, or as `encoder.model` for open_clip."""
        before = self.towers.encoder
        model = with_projections(before.model, self.image, self.text, self.log_scale)
        digest = weights_digest(torch.nn.ModuleList([self.image, self.text]))[:8]
        return before.with_model(model, name=f"{before.name}, fine-tuned {digest}")

    @cached_property
    def prototypes(self) -> Float32Array:
        """(C, e) unit rows of the class prompts, averaged over the templates."""
        with torch.no_grad():
            rows: Float32Array = _prototypes(self.text(self.towers.class_prompts)).cpu().numpy()
        return rows

    def embeddings(self, split: str = "test") -> Float32Array:
        """Return (n, e) unit rows of the images of a split, as the encoder embeds them."""
        device = self.towers.encoder.device
        with torch.no_grad():
            parts = [
                unit(self.image(part.to(device))).cpu()
                for part in torch.split(self._outputs(split), _IMAGES_AT_ONCE)
            ]
        rows: Float32Array = torch.cat(parts).numpy()
        return rows

    def predictions(self, split: str = "test") -> IntArray:
        """Return (n,) the class whose prompts are nearest, for each image of a split."""
        nearest: IntArray = (self.embeddings(split) @ self.prototypes.T).argmax(axis=1)
        return nearest

    def evaluation(self, split: str = "test") -> Evaluation:
        """Evaluate on a split, by group where groups are known, with the average adjusted to training."""
        dataset = self.towers.dataset
        part = next(part for part in dataset.splits() if part.name == split)
        known = part.groups is not None and dataset.group_names is not None
        in_train = dataset.train.groups if known else None
        return evaluate(
            self.predictions(split),
            part.labels,
            part.groups if known else None,
            None if in_train is None else np.bincount(in_train, minlength=len(dataset.group_names or ())),
            class_names=dataset.class_names,
            group_names=dataset.group_names,
        )

    @property
    def stopped_because(self) -> str:
        """Which epoch was kept, in a sentence for people."""
        if not self.history:
            return "nothing was trained"
        return f"epoch {self.best_epoch} of {len(self.history) - 1} had the best worst group on validation"

    def head(self) -> LinearHead:
        """Return the zero-shot classifier as a head on the encoder's embeddings."""
        weights = math.exp(float(self.log_scale)) * self.prototypes.T.astype(np.float64)
        width, classes = weights.shape
        report = FitReport(math.nan, math.nan, None, self.best_epoch, self.stopped_because)
        return LinearHead(
            np.zeros(width), np.ones(width), weights, np.zeros(classes), "zero_shot", 0.0, report
        )

    def _outputs(self, split: str) -> Tensor:
        if split not in self.towers.images:
            raise DataError(f"There is no split {split!r}; there are {sorted(self.towers.images)}.")
        return self.towers.images[split]


def pretrained(towers: CachedTowers) -> FineTuned:
    """Return the model as it came, which classifies zero-shot: the baseline of all fine-tunings."""
    model = towers.encoder.model
    return FineTuned(
        towers,
        "pre-trained",
        image_projection(model),
        text_projection(model),
        model.logit_scale.detach().float().clone(),
    )


def finetune(
    towers: CachedTowers,
    objective: Objective,
    settings: Settings | None = None,
    *,
    groups: npt.ArrayLike | None = None,
    shown: npt.ArrayLike | None = None,
    val_cells: npt.ArrayLike | None = None,
    progress: Callable[[FinetuneProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> FineTuned:
    """Train the projections, and keep the epoch with the best worst group on validation.

    The same data, settings and number of threads give the same weights.

    Parameters
    ----------
    towers
        As `cache_towers` returns them; they are not changed.
    objective
        A sum of `Losses`; "erm": the mean cross-entropy of the class prompts, averaged over templates;
        "group_dro": its largest mean over the groups, by online group DRO with groups drawn equally often.
    settings
        By default those published for RN50.
    groups
        (n,) group of each training image, for L_vs and group DRO; by default those of the data set.
    shown
        (n,) index into `towers.attributes` of what each training image shows, -1 for none; for the released
        L_vs only.
    val_cells
        (m,) group or slice of each validation image, -1 for none: the worst of them decides which epoch is
        kept. By default the groups of the data set.
    progress
        Called after every step.
    cancelled
        Asked before every step.

    Raises
    ------
    DataError
        When a loss lacks what it needs, arrays do not fit, or the steps diverge.
    CancelledError
        When `cancelled` says so; nothing was changed.

    Notes
    -----
    Yang et al., "Mitigating Spurious Correlations in Multi-modal Models during Fine-tuning" (ICML 2023),
    sections 3 and 5; group DRO of Sagawa et al. (ICLR 2020), Algorithm 1.
    """
    return _Training(
        towers,
        objective,
        Settings() if settings is None else settings,
        groups=groups,
        shown=shown,
        val_cells=val_cells,
    ).run(progress, cancelled)


class _Training:
    """One fine-tuning under way."""

    def __init__(
        self,
        towers: CachedTowers,
        objective: Objective,
        settings: Settings,
        *,
        groups: npt.ArrayLike | None,
        shown: npt.ArrayLike | None,
        val_cells: npt.ArrayLike | None,
    ) -> None:
        dataset, device = towers.dataset, towers.encoder.device
        _check_objective(objective, settings, towers)
        self.towers, self.objective, self.settings, self.device = towers, objective, settings, device
        labels = check_training_labels(
            dataset.train.labels, dataset.num_classes, length=len(towers.images[dataset.train.name])
        )
        self.labels = torch.from_numpy(labels)
        self.groups = _cells_or_none(groups, dataset.train.groups, len(dataset.train), "groups")
        self.shown = _shown_or_none(shown, len(towers.attributes), len(dataset.train))
        self.val_cells = _val_cells(val_cells, towers)
        if _needs_groups(objective) and self.groups is None:
            raise DataError(f"{objective} needs groups=, the group of each training image.")
        if _needs_shown(objective) and self.shown is None:
            raise DataError("The released L_vs needs shown=, which attribute each training image shows.")

        self.generator = torch.Generator().manual_seed(settings.seed)
        self.log_scale = _log_scale(settings, towers).requires_grad_(settings.train_temperature)
        self.image = image_projection(towers.encoder.model).to(device)
        self.text = text_projection(towers.encoder.model).to(device)
        self.text.requires_grad_(settings.text_projection)
        trained = [*self.image.parameters(), *(self.text.parameters() if settings.text_projection else ())]
        of_projections: dict[str, Any] = {"params": trained}
        of_temperature: dict[str, Any] = {
            "params": [self.log_scale] if settings.train_temperature else [],
            "weight_decay": 0.0,
        }
        self.optimiser = torch.optim.SGD(
            [of_projections, of_temperature],
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        if self.groups is not None:
            self.group_sizes = torch.bincount(self.groups)
            self.group_weights = (self.group_sizes > 0) / (self.group_sizes > 0).sum()

    @property
    def temperature(self) -> Tensor:
        """Tau, what cosines are divided by."""
        return (-self.log_scale).exp()

    def run(
        self,
        progress: Callable[[FinetuneProgress], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> FineTuned:
        history = [self._validate(0, math.nan)]
        best, kept = history[0], self._snapshot()
        started, epochs = time.monotonic(), self.settings.epochs
        for number in range(1, epochs + 1):
            batches = list(self._batches())
            total = 0.0
            for done, batch in enumerate(batches, start=1):
                if cancelled is not None and cancelled():
                    raise CancelledError("Fine-tuning was cancelled; the model from before is unchanged.")
                loss = self._step(batch)
                total += loss
                if progress is not None:
                    fraction = (number - 1 + done / len(batches)) / epochs
                    left = (time.monotonic() - started) * (1 - fraction) / fraction
                    progress(FinetuneProgress(number, epochs, loss, history[-1], fraction, left))
            history.append(self._validate(number, total / len(batches)))
            if (history[-1].worst, history[-1].average) > (best.worst, best.average):
                best, kept = history[-1], self._snapshot()
        return FineTuned(self.towers, str(self.objective), *kept, tuple(history), best.number)

    def _snapshot(self) -> tuple[nn.Module, nn.Module, Tensor]:
        image, text = copy.deepcopy((self.image, self.text))
        return (
            image.requires_grad_(requires_grad=False),
            text.requires_grad_(requires_grad=False),
            self.log_scale.detach().clone(),
        )

    def _validate(self, number: int, loss: float) -> Epoch:
        now = FineTuned(self.towers, "", self.image, self.text, self.log_scale)
        right = now.predictions("val") == self.towers.dataset.val.labels
        cells = self.val_cells
        worst = min(float(right[cells == cell].mean()) for cell in np.unique(cells[cells >= 0]))
        return Epoch(number, loss, worst, float(right.mean()))

    def _batches(self) -> Iterator[Tensor]:
        """Yield rows of the training images; a last batch of one is left out, as images are compared."""
        count = len(self.labels)
        if self.objective == "group_dro":
            assert self.groups is not None
            shares = 1 / self.group_sizes[self.groups].float()
            order = torch.multinomial(shares, count, replacement=True, generator=self.generator)
        else:
            order = torch.randperm(count, generator=self.generator)
        return (batch for batch in torch.split(order, self.settings.batch_size) if len(batch) > 1)

    def _step(self, batch: Tensor) -> float:
        images = unit(self.image(self.towers.images["train"][batch].to(self.device)))
        templates = self._templates()
        classes = unit(self.text(self.towers.class_prompts[templates]))
        loss = (
            self._sum_of_losses(self.objective, batch, images, classes, templates)
            if isinstance(self.objective, Losses)
            else self._cross_entropy(batch, images, classes)
        )
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves this one without types
        value = loss.item()
        if not math.isfinite(value):
            raise DataError(
                f"Fine-tuning diverged at learning rate {self.settings.learning_rate}; give a lower one."
            )
        self.optimiser.step()
        if self.settings.train_temperature:
            with torch.no_grad():
                self.log_scale.clamp_(max=_HIGHEST_LOG_SCALE)
        return value

    def _templates(self) -> Tensor:
        """Return which templates a step uses: all of them, or by lot as many as its time allows."""
        number = len(self.towers.class_prompts)
        names = self.towers.class_prompts.shape[1] + self.towers.attribute_prompts.shape[1]
        most = max(_FEWEST_TEMPLATES, _PROMPTS_A_STEP // names)
        if number <= most:
            return torch.arange(number)
        return torch.randperm(number, generator=self.generator)[:most]

    def _sum_of_losses(
        self, weights: Losses, batch: Tensor, images: Tensor, classes: Tensor, templates: Tensor
    ) -> Tensor:
        labels = self.labels[batch].to(self.device)
        total = images.sum() * 0
        if weights.clip:
            drawn = torch.randint(len(templates), (len(batch),), generator=self.generator)
            texts = classes[drawn.to(self.device), labels]
            total = total + weights.clip * losses.clip_loss(images, texts, self.temperature)
        if weights.vc:
            total = total + weights.vc * self._together(weights, images, labels)
        if weights.lc:
            total = total + weights.lc * self._together(weights, *_with_groups(classes))
        if weights.vs:
            total = total + weights.vs * self._spurious_image(weights, batch, images, templates)
        if weights.ls:
            attributes = unit(self.text(self.towers.attribute_prompts[templates]))
            total = total + weights.ls * self._spurious_language(weights, classes, attributes)
        return total

    def _together(self, weights: Losses, rows: Tensor, groups: Tensor) -> Tensor:
        if weights.variant == "released":
            return losses.released_group_contrast(rows, groups)
        return losses.cross_group_similarity(rows, groups, weights.temperature or self.temperature)

    def _spurious_language(self, weights: Losses, classes: Tensor, attributes: Tensor) -> Tensor:
        if weights.variant == "released":
            return losses.released_spurious_language(classes.flatten(0, 1), attributes.flatten(0, 1))
        return losses.spurious_language(classes, attributes, weights.temperature or self.temperature)

    def _spurious_image(self, weights: Losses, batch: Tensor, images: Tensor, templates: Tensor) -> Tensor:
        if weights.variant == "released":
            assert self.shown is not None
            prototypes = _prototypes(self.text(self.towers.attribute_prompts[templates]))
            shown = self.shown[batch].to(self.device)
            return losses.released_spurious_image(images, prototypes, shown, self.temperature)
        assert self.groups is not None
        return self._together(weights, images, self.groups[batch].to(self.device))

    def _cross_entropy(self, batch: Tensor, images: Tensor, classes: Tensor) -> Tensor:
        logits = images @ unit(classes.mean(dim=0)).T / self.temperature
        labels = self.labels[batch].to(self.device)
        if self.objective == "erm":
            return functional.cross_entropy(logits, labels)
        assert self.groups is not None
        each = functional.cross_entropy(logits, labels, reduction="none").cpu()
        in_batch = functional.one_hot(self.groups[batch], len(self.group_sizes)).T.float()
        of_groups = in_batch @ each / in_batch.sum(dim=1).clamp(min=1)
        raised = self.group_weights * (_GROUP_STEP * of_groups.detach()).exp()
        self.group_weights = raised / raised.sum()
        return self.group_weights @ of_groups


def _log_scale(settings: Settings, towers: CachedTowers) -> Tensor:
    """Return the logarithm of what cosines are multiplied by at the start, 1 / tau."""
    own: Tensor = towers.encoder.model.logit_scale.detach().float().clone()
    return own if settings.temperature is None else torch.full_like(own, -math.log(settings.temperature))


def _prototypes(prompts: Tensor) -> Tensor:
    """Return (C, e) unit rows of prompts (T, C, e): the mean over templates of their unit rows."""
    return unit(unit(prompts).mean(dim=0))


def _with_groups(prompts: Tensor) -> tuple[Tensor, Tensor]:
    """Return prompts (T, N, e) as rows, and which of the N names each is of."""
    templates, names, _ = prompts.shape
    return prompts.flatten(0, 1), torch.arange(names, device=prompts.device).repeat(templates)


def _check_objective(objective: Objective, settings: Settings, towers: CachedTowers) -> None:
    if not isinstance(objective, Losses):
        if objective not in ("erm", "group_dro"):
            raise DataError(f'objective must be Losses(...), "erm" or "group_dro"; got {objective!r}.')
        return
    if (objective.lc or objective.ls) and not settings.text_projection:
        raise DataError(
            "L_lc and L_ls change the text projection, which settings leave frozen; give "
            "Settings(text_projection=True), or leave those losses out."
        )
    if (objective.ls or _needs_shown(objective)) and not towers.attributes:
        raise DataError(
            f"{objective} needs names of spurious attributes; give cache_towers some, such as 'water'."
        )


def _needs_groups(objective: Objective) -> bool:
    if isinstance(objective, Losses):
        return bool(objective.vs) and objective.variant == "paper"
    return objective == "group_dro"


def _needs_shown(objective: Objective) -> bool:
    return isinstance(objective, Losses) and bool(objective.vs) and objective.variant == "released"


def _cells_or_none(
    given: npt.ArrayLike | None, known: IntArray | None, length: int, name: str
) -> Tensor | None:
    cells = known if given is None else check_labels(given, name=name)
    if cells is None:
        return None
    _check_length(cells, length, name)
    return torch.from_numpy(cells)


def _shown_or_none(given: npt.ArrayLike | None, attributes: int, length: int) -> Tensor | None:
    if given is None:
        return None
    shown = np.asarray(given, dtype=np.int64)
    _check_length(shown, length, "shown")
    if len(shown) and not (shown.min() >= -1 and shown.max() < attributes):
        raise DataError(f"shown must be -1..{attributes - 1} for {attributes} attributes.")
    return torch.from_numpy(shown)


def _val_cells(given: npt.ArrayLike | None, towers: CachedTowers) -> IntArray:
    val = towers.dataset.val
    cells = val.groups if given is None else np.asarray(given, dtype=np.int64)
    if cells is None:
        raise DataError(
            "The best epoch is the one with the best worst group on validation, and no groups are known; "
            "give val_cells=, for example the slices of a phrase."
        )
    _check_length(cells, len(val), "val_cells")
    if not (cells >= 0).any():
        raise DataError("val_cells puts no validation image into a cell; there is no worst one.")
    return cells


def _check_length(cells: IntArray, length: int, name: str) -> None:
    if cells.shape != (length,):
        raise DataError(f"{name} has shape {cells.shape} for {length} images; give one an image.")
