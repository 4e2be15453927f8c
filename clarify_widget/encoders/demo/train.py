"""Train the demo encoder: `python -m clarify_widget.encoders.demo.train`.

The renderer knows which phrase is true of which scene, so every step compares all pictures of a batch with
all its phrases, and a sigmoid loss pulls together the pairs that belong together and pushes the others apart
(the loss of Zhai et al., "Sigmoid Loss for Language Image Pre-Training", ICCV 2023, with the whole truth
instead of its diagonal).

The run is seeded and can be killed at any time: what a step sees depends on its number only, and everything
else is in the checkpoint.
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.distributed
from torch.multiprocessing.spawn import spawn
from torch.nn import functional
from tqdm import tqdm

from clarify_widget.datasets.scenes.captions import describe, say
from clarify_widget.datasets.scenes.phrases import CONCEPT_NAMES, CONCEPTS, truth
from clarify_widget.encoders.demo.model import WEIGHTS, build_model, normalise, save_weights, tokenize
from clarify_widget.encoders.demo.pool import Pool, render_pool

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from open_clip import CLIP

CHECKPOINT = "checkpoint.pt"
POOL = "pool"
MEETING = "meeting"
CHECKPOINT_EVERY = 250


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is learned; each of the workers draws its own batch in every step."""

    steps: int = 4200
    batch: int = 128
    composed_phrases: int = 64
    workers: int = 2
    chunks: int = 48
    chunk: int = 4000
    learning_rate: float = 2.5e-3
    warmup: int = 200
    cooldown: float = 0.4
    weight_decay: float = 0.02
    averaging: float = 0.998
    rarest_weight: float = 24.0
    seed: int = 0


@dataclass
class Progress:
    """What a checkpoint holds."""

    model: CLIP
    average: CLIP
    optimizer: torch.optim.AdamW
    step: int = 0
    cpu_seconds: float = 0.0

    def save(self, path: Path) -> None:
        """Write the checkpoint; the previous one stays until the new one is whole."""
        unfinished = path.with_suffix(".part")
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "cpu_seconds": self.cpu_seconds,
        }
        torch.save(state, unfinished)
        unfinished.replace(path)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.cpu_seconds = state["step"], state["cpu_seconds"]

    def tokens_met(self) -> torch.Tensor:
        """Return which tokens ever had a gradient: (vocabulary,) bool."""
        moments = self.optimizer.state[self.model.token_embedding.weight]["exp_avg_sq"]
        met: torch.Tensor = (moments > 0).any(dim=1)
        return met


def start(recipe: Recipe) -> Progress:
    """Return a fresh, seeded model."""
    torch.manual_seed(recipe.seed)
    model = build_model()
    return Progress(model=model, average=copy.deepcopy(model).eval(), optimizer=_optimizer(model, recipe))


def _optimizer(model: CLIP, recipe: Recipe) -> torch.optim.AdamW:
    matrices = [p for name, p in model.named_parameters() if p.ndim > 1 and "embedding" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim <= 1 or "embedding" in name]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98))


def learning_rate(step: int, recipe: Recipe) -> float:
    """Linear warm-up, a long plateau, then a straight line down to zero."""
    rising = (step + 1) / recipe.warmup
    falling = (recipe.steps - step) / (recipe.cooldown * recipe.steps)
    return recipe.learning_rate * min(1.0, rising, falling)


def open_pool(folder: Path, recipe: Recipe, *, processes: int) -> Pool:
    """Open the pool of a training folder; render what is missing."""
    return render_pool(
        folder / POOL, chunks=recipe.chunks, chunk=recipe.chunk, seed=recipe.seed, processes=processes
    )


def sentences(facts: NDArray[np.bool_], rng: np.random.Generator, recipe: Recipe) -> list[str]:
    """Say every concept alone, and for random pictures of the batch two or three true things at once."""
    alone = [say(concept, rng) for concept in CONCEPTS]
    rows = rng.integers(len(facts), size=recipe.composed_phrases)
    return alone + [describe(facts[row], rng, int(rng.integers(2, 4))) for row in rows]


def draw_batch(
    pool: Pool, step: int, worker: int, recipe: Recipe
) -> tuple[torch.Tensor, list[str], torch.Tensor]:
    """Return pictures (n, 3, 64, 64), phrases and truth (n, number of phrases) for one worker's step."""
    rng = np.random.default_rng([recipe.seed, 1 + worker, step])
    rows = rng.integers(len(pool), size=recipe.batch)
    pictures, facts = pool.take(rows), pool.facts[rows]
    mirrored = rng.random(len(rows)) < 0.5
    pictures[mirrored] = pictures[mirrored, :, ::-1]
    sides = np.array([CONCEPT_NAMES.index("left"), CONCEPT_NAMES.index("right")])
    facts[np.ix_(mirrored, sides)] = facts[np.ix_(mirrored, sides[::-1])]
    phrases = sentences(facts, rng, recipe)
    exposure = torch.from_numpy(rng.uniform(0.95, 1.05, (len(rows), 1, 1, 1)).astype(np.float32))
    return normalise(pictures) * exposure, phrases, torch.from_numpy(truth(phrases, facts))


def pair_loss(logits: torch.Tensor, true: torch.Tensor, rarest_weight: float) -> torch.Tensor:
    """Return the sigmoid loss over all pairs; a phrase's true and false pairs weigh the same, up to a limit.

    Parameters
    ----------
    logits, true
        (n, number of phrases).
    rarest_weight
        The most that a true pair may weigh, in false pairs.
    """
    share = true.float()
    positives = share.sum(0).clamp(min=1)
    weight = share * ((len(share) - positives) / positives).clamp(max=rarest_weight) + (1 - share)
    losses = functional.binary_cross_entropy_with_logits(logits, share, reduction="none")
    return (losses * weight / weight.sum(0).clamp(min=1)).sum(0).mean()


def work(worker: int, recipe: Recipe, folder: Path) -> None:
    """Do one worker's part of the training, from the last checkpoint in the folder if there is one.

    Two processes of one thread each cost a third less processor time than one process of two threads.
    """
    torch.set_num_threads(1)
    pool = open_pool(folder, recipe, processes=1)
    torch.distributed.init_process_group(
        "gloo", init_method=(folder / MEETING).absolute().as_uri(), rank=worker, world_size=recipe.workers
    )
    progress, checkpoint = start(recipe), folder / CHECKPOINT
    if checkpoint.exists():
        progress.restore(checkpoint)
    model = progress.model.to(memory_format=torch.channels_last).train()
    before = progress.cpu_seconds - time.process_time()
    steps = range(progress.step, recipe.steps)
    bar = tqdm(
        steps, initial=progress.step, total=recipe.steps, desc="training", mininterval=10, disable=worker > 0
    )
    for step in bar:
        loss = take_step(progress, draw_batch(pool, step, worker, recipe), step, recipe)
        progress.step, progress.cpu_seconds = step + 1, before + time.process_time()
        bar.set_postfix(loss=f"{loss:.4f}", scale=f"{model.logit_scale.item():.2f}", refresh=False)
        if worker == 0 and (progress.step % CHECKPOINT_EVERY == 0 or progress.step == recipe.steps):
            progress.save(checkpoint)
    torch.distributed.destroy_process_group()


def take_step(
    progress: Progress, batch: tuple[torch.Tensor, list[str], torch.Tensor], step: int, recipe: Recipe
) -> float:
    """Take one step of the optimiser on the mean gradient of all workers; returns this worker's loss."""
    model, (pictures, phrases, true) = progress.model, batch
    for group in progress.optimizer.param_groups:
        group["lr"] = learning_rate(step, recipe)
    image_rows = functional.normalize(model.encode_image(pictures), dim=-1)
    text_rows = functional.normalize(model.encode_text(tokenize(phrases)), dim=-1)
    logits = model.logit_scale.exp() * image_rows @ text_rows.T + model.logit_bias
    loss = pair_loss(logits, true, recipe.rarest_weight)
    progress.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    average_gradients(model, recipe.workers)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    progress.optimizer.step()
    with torch.no_grad():
        model.logit_scale.clamp_(max=math.log(100))
    update_average(progress.average, model, min(recipe.averaging, (step + 1) / (step + 10)))
    return float(loss.detach())


def average_gradients(model: CLIP, workers: int) -> None:
    """Replace each gradient by its mean over the workers."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    torch.distributed.all_reduce(flat)
    flat /= workers
    means = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view(gradient.shape))


@torch.no_grad()
def update_average(average: CLIP, model: CLIP, decay: float) -> None:
    """Move the running average of the weights, and of the batch statistics, towards the model."""
    for old, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - decay)
        else:
            old.copy_(new)


def main() -> None:
    """Render the pool, train, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--folder", type=Path, default=Path.home() / ".cache" / "clarify_widget" / "demo-training"
    )
    parser.add_argument("--output", type=Path, default=WEIGHTS, help="where the weights are written")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--chunks", type=int, default=Recipe.chunks, help=f"pool, in {Recipe.chunk} scenes")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    arguments = parser.parse_args()
    recipe = Recipe(steps=arguments.steps, chunks=arguments.chunks, seed=arguments.seed)
    open_pool(arguments.folder, recipe, processes=recipe.workers)
    (arguments.folder / MEETING).unlink(missing_ok=True)  # a killed run leaves its own behind
    spawn(work, (recipe, arguments.folder), nprocs=recipe.workers)  # type: ignore[no-untyped-call]  # torch has no types here
    progress = start(recipe)
    progress.restore(arguments.folder / CHECKPOINT)
    save_weights(progress.average, progress.tokens_met(), arguments.output)
    minutes = progress.cpu_seconds * recipe.workers / 60
    sys.stdout.write(
        f"wrote {arguments.output} after {progress.step} steps and {minutes:.0f} minutes of processor time\n"
    )


if __name__ == "__main__":
    main()
