"""Fine-tuning from cached towers: what is trained, what is kept, and what is said when it cannot be."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
import torch
from torch.nn import functional

from clarify_widget import encoders
from clarify_widget.datasets import Dataset, ImageList, Split
from clarify_widget.errors import CancelledError, DataError, EncoderError
from clarify_widget.finetuning import (
    FINE_TUNED_CLIP,
    PUBLISHED,
    SPURIOUS_IMAGE,
    SPURIOUS_LANGUAGE,
    Losses,
    Settings,
    cache_towers,
    finetune,
    fit,
    pretrained,
)
from clarify_widget.methods.zero_shot import ZeroShotHead, imagenet_templates, prompt_embeddings
from tests.finetuning.tiny import tiny_encoder

TEMPLATES = ("a photo of a {phrase}", "a drawing of a {phrase}", "{phrase}")
QUICK = Settings(learning_rate=1e-2, batch_size=8, epochs=3)
OBJECTIVES = {
    "clip": FINE_TUNED_CLIP,
    "language": SPURIOUS_LANGUAGE,
    "image": SPURIOUS_IMAGE,
    "all released": Losses(vc=1, lc=1, vs=1, ls=1, variant="released"),
    "erm": "erm",
    "group DRO": "group_dro",
}


def picture(colour, seed):
    noise = np.random.default_rng(seed).integers(0, 60, (20, 20, 3))
    return PIL.Image.fromarray(np.clip(noise + np.array(colour), 0, 255).astype(np.uint8))


def split(name, count, seed):
    rng = np.random.default_rng(seed)
    labels, shown = rng.integers(0, 2, count), rng.integers(0, 2, count)
    labels[:4], shown[:4] = [0, 0, 1, 1], [0, 1, 0, 1]
    colours = [(200 * y, 60, 160 * a) for y, a in zip(labels, shown, strict=True)]
    pictures = [picture(colour, row) for row, colour in enumerate(colours)]
    return Split(name, labels, images=ImageList(pictures), groups=2 * labels + shown)


@pytest.fixture(scope="module")
def dataset():
    names = ("dim without", "dim with", "red without", "red with")
    splits = (split("train", 30, 1), split("val", 16, 2), split("test", 16, 3))
    return Dataset("colours", ("dim", "red"), *splits, group_names=names)


@pytest.fixture(scope="module", params=["vit", "resnet"])
def towers(request, dataset):
    return cache_towers(tiny_encoder(request.param), dataset, ["blue"], templates=TEMPLATES)


@pytest.fixture(scope="module")
def vit(dataset):
    return cache_towers(tiny_encoder("vit"), dataset, ["blue"], templates=TEMPLATES)


def run(towers, objective, settings=QUICK, **options):
    shown = (towers.dataset.train.groups % 2) - 1
    return finetune(towers, objective, settings, shown=shown, **options)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_same_seed_gives_the_same_weights_and_another_seed_others(towers, objective):
    first, again = run(towers, objective), run(towers, objective)
    other = run(towers, objective, replace(QUICK, seed=1))
    assert [epoch.loss for epoch in first.history[1:]] == [epoch.loss for epoch in again.history[1:]]
    assert first.history[1:] != other.history[1:]
    for one, two in zip(first.image.parameters(), again.image.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_steps_lower_what_they_minimise(vit, objective):
    settings = Settings(learning_rate=3e-3, batch_size=30, epochs=25)
    losses = [epoch.loss for epoch in run(vit, objective, settings).history[1:]]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_steps_of_erm_are_gradient_descent_on_the_zero_shot_cross_entropy(vit, dataset):
    """Full batches of ERM, written out with nothing of ours but the cached outputs."""
    rate, decay = 0.05, 0.01
    settings = Settings(learning_rate=rate, momentum=0, weight_decay=decay, batch_size=30, epochs=3)
    tuned = finetune(vit, "erm", settings)
    model, labels = vit.encoder.model, torch.from_numpy(dataset.train.labels)
    weights = [model.visual.proj.detach().clone(), model.text_projection.detach().clone()]
    for epoch in tuned.history[1:]:
        image, text = (weight.requires_grad_() for weight in weights)
        prompts = functional.normalize(vit.class_prompts @ text, dim=-1).mean(dim=0)
        rows = functional.normalize(vit.images["train"] @ image, dim=-1)
        logits = rows @ functional.normalize(prompts, dim=-1).T * model.logit_scale.exp()
        loss = functional.cross_entropy(logits, labels)
        assert epoch.loss == pytest.approx(loss.item(), rel=1e-4)
        gradients = torch.autograd.grad(loss, weights)
        weights = [
            (weight - rate * (gradient + decay * weight)).detach()
            for weight, gradient in zip(weights, gradients, strict=True)
        ]


def test_kept_epoch_is_the_best_by_the_worst_validation_cell_and_then_the_average(towers):
    tuned = run(towers, FINE_TUNED_CLIP, Settings(learning_rate=0.1, batch_size=8, epochs=8))
    best = max(tuned.history, key=lambda epoch: (epoch.worst, epoch.average, -epoch.number))
    assert tuned.best_epoch == best.number
    evaluation = tuned.evaluation("val")
    assert evaluation.worst_group == pytest.approx(best.worst)
    assert evaluation.average == pytest.approx(best.average)


def test_slices_can_take_the_place_of_groups_on_validation(vit):
    slices = np.where(vit.dataset.val.labels == 1, np.arange(16) % 2, -1)
    tuned = run(vit, FINE_TUNED_CLIP, val_cells=slices)
    right = tuned.predictions("val") == vit.dataset.val.labels
    assert tuned.history[tuned.best_epoch].worst == pytest.approx(
        min(right[slices == 0].mean(), right[slices == 1].mean())
    )


def test_tuned_encoder_embeds_as_the_cached_outputs_say_and_the_old_one_as_before(towers, dataset):
    before = towers.encoder.encode_images([dataset.test.images[0]])
    tuned = run(towers, SPURIOUS_LANGUAGE)
    images = [dataset.test.images[row] for row in range(len(dataset.test))]
    assert np.allclose(tuned.encoder.encode_images(images), tuned.embeddings("test"), atol=1e-5)
    assert np.array_equal(towers.encoder.encode_images([dataset.test.images[0]]), before)
    prototypes = prompt_embeddings(tuned.encoder, dataset.class_names, TEMPLATES)
    assert np.allclose(prototypes, tuned.prototypes, atol=1e-5)


def test_tuned_encoder_can_be_saved_and_loaded(towers, dataset, tmp_path):
    tuned = run(towers, SPURIOUS_LANGUAGE)
    again = encoders.load(str(tuned.encoder.save(tmp_path)), device="cpu")
    images = [dataset.test.images[row] for row in range(3)]
    assert np.allclose(again.encode_images(images), tuned.embeddings("test")[:3], atol=1e-5)


def test_pretrained_is_the_zero_shot_classifier(dataset):
    encoder = encoders.load("demo")
    baseline = pretrained(cache_towers(encoder, dataset))
    head = ZeroShotHead(prompt_embeddings(encoder, dataset.class_names, imagenet_templates()), np.arange(2))
    images = [dataset.test.images[row] for row in range(len(dataset.test))]
    assert np.array_equal(baseline.predictions("test"), head.predict(encoder.encode_images(images)))
    assert baseline.objective == "pre-trained"
    assert baseline.evaluation("test").adjusted_average is not None


def test_tuned_encoder_can_be_tuned_again(towers, dataset):
    tuned = run(towers, FINE_TUNED_CLIP, replace(QUICK, learning_rate=0.1))
    again = cache_towers(tuned.encoder, dataset, ["blue"], templates=TEMPLATES)
    assert np.allclose(pretrained(again).embeddings("test"), tuned.embeddings("test"), atol=1e-5)
    losses = [epoch.loss for epoch in run(again, FINE_TUNED_CLIP, replace(QUICK, epochs=4)).history[1:]]
    assert len(set(losses)) == 4


def test_temperature_is_trained_from_where_it_is_told_and_goes_into_the_model(vit):
    settings = Settings(learning_rate=0.1, batch_size=8, epochs=10, temperature=0.07)
    fixed = run(vit, "erm", settings)
    trained = run(vit, "erm", replace(settings, train_temperature=True))
    assert fixed.log_scale.exp() == pytest.approx(1 / 0.07)
    assert trained.best_epoch > 0
    assert trained.log_scale.exp() != pytest.approx(1 / 0.07)
    for tuned in (fixed, trained):
        assert float(tuned.encoder.model.logit_scale) == pytest.approx(float(tuned.log_scale))
        lengths = np.linalg.norm(tuned.head().weights, axis=0)
        assert lengths == pytest.approx(float(tuned.log_scale.exp()))


def test_one_step_of_the_temperature_is_gradient_descent_without_decay(vit, dataset):
    settings = Settings(
        learning_rate=0.05,
        momentum=0,
        weight_decay=0.5,
        batch_size=30,
        epochs=1,
        temperature=0.1,
        train_temperature=True,
    )
    training = fit._Training(vit, "erm", settings, groups=None, shown=None, val_cells=None)
    training._step(torch.arange(30))
    log_scale = torch.tensor(math.log(10), requires_grad=True)
    before = pretrained(vit)
    cosines = torch.from_numpy(before.embeddings("train") @ before.prototypes.T)
    functional.cross_entropy(cosines * log_scale.exp(), torch.from_numpy(dataset.train.labels)).backward()
    assert training.log_scale.item() == pytest.approx(math.log(10) - 0.05 * log_scale.grad.item(), rel=1e-5)


def test_temperature_stays_at_a_hundredth_or_above(vit):
    settings = replace(QUICK, temperature=0.01, train_temperature=True)
    training = fit._Training(vit, "erm", settings, groups=None, shown=None, val_cells=None)
    for _ in range(5):
        training._step(torch.arange(30))
        assert training.temperature.item() >= 0.01 - 1e-9


def test_frozen_text_projection_stays_as_it_is(vit):
    tuned = run(vit, FINE_TUNED_CLIP, replace(QUICK, text_projection=False))
    assert torch.equal(tuned.text.weight, vit.encoder.model.text_projection)
    for losses in (Losses(lc=1), Losses(ls=1)):
        with pytest.raises(DataError, match="settings leave frozen"):
            run(vit, losses, replace(QUICK, text_projection=False))


def test_progress_tells_loss_validation_and_the_time_left(vit):
    told = []
    tuned = run(vit, SPURIOUS_LANGUAGE, progress=told.append)
    assert len(told) == QUICK.epochs * 4
    assert [step.fraction for step in told] == sorted(step.fraction for step in told)
    assert told[-1].fraction == pytest.approx(1)
    assert told[-1].seconds_left == pytest.approx(0, abs=1e-6)
    assert told[0].validation == tuned.history[0]
    assert all(math.isfinite(step.loss) for step in told)


def test_cancelling_stops_between_steps_and_changes_nothing(vit):
    weights = vit.encoder.model.visual.proj.detach().clone()
    told = []
    with pytest.raises(CancelledError):
        run(vit, SPURIOUS_LANGUAGE, progress=told.append, cancelled=lambda: len(told) == 2)
    assert len(told) == 2
    assert torch.equal(vit.encoder.model.visual.proj, weights)


def test_few_templates_are_drawn_where_there_are_many_classes(dataset, monkeypatch):
    monkeypatch.setattr("clarify_widget.finetuning.fit._PROMPTS_A_STEP", 6)
    towers = cache_towers(tiny_encoder(), dataset, ["blue"], templates=[*TEMPLATES, *TEMPLATES])
    tuned = run(towers, Losses(vc=1, lc=1, ls=1))
    assert all(math.isfinite(epoch.loss) for epoch in tuned.history[1:])


def test_published_settings_are_those_of_the_code():
    rn50, vit = PUBLISHED["RN50"], PUBLISHED["ViT-L-14-336"]
    assert (rn50.learning_rate, rn50.momentum, rn50.weight_decay, rn50.epochs) == (1e-4, 0.9, 1e-5, 300)
    assert (rn50.batch_size, vit.batch_size) == (128, 32)
    assert (
        (rn50.temperature, rn50.train_temperature) == (vit.temperature, vit.train_temperature) == (0.07, True)
    )


def test_sum_of_losses_reads_as_people_write_it():
    assert str(SPURIOUS_LANGUAGE) == "L_CLIP + L_vc + L_lc + L_ls"
    assert str(Losses(clip=0, ls=5, variant="released")) == "5 L_ls (released)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Losses(clip=0), "one above it"),
        (lambda: Losses(vc=-1), "at least 0"),
        (lambda: Losses(variant="mine"), '"paper" or "released"'),
        (lambda: Losses(temperature=0), "above 0"),
        (lambda: Settings(learning_rate=0), "learning_rate must be above 0"),
        (lambda: Settings(momentum=1), "momentum"),
        (lambda: Settings(weight_decay=-1), "weight_decay"),
        (lambda: Settings(batch_size=1), "batch_size must be at least 2"),
        (lambda: Settings(epochs=0), "epochs"),
        (lambda: Settings(temperature=0), "temperature must be above 0"),
    ],
)
def test_settings_out_of_range_are_named(make, message):
    with pytest.raises(DataError, match=message):
        make()


def test_each_thing_that_is_missing_is_named(vit, dataset):
    def without_groups(part):
        return replace(part, groups=None)

    bare = replace(
        vit,
        dataset=replace(
            dataset,
            train=without_groups(dataset.train),
            val=without_groups(dataset.val),
            test=without_groups(dataset.test),
            group_names=None,
        ),
    )
    labels = dataset.val.labels
    for objective in ("group_dro", SPURIOUS_IMAGE):
        with pytest.raises(DataError, match="needs groups="):
            finetune(bare, objective, QUICK, val_cells=labels)
    with pytest.raises(DataError, match="give val_cells="):
        finetune(bare, FINE_TUNED_CLIP, QUICK)
    with pytest.raises(DataError, match="needs shown="):
        finetune(vit, Losses(vs=1, variant="released"), QUICK)
    with pytest.raises(DataError, match=r"shown must be -1\.\.0"):
        finetune(vit, Losses(vs=1, variant="released"), QUICK, shown=np.ones(30, dtype=int))
    with pytest.raises(DataError, match="for 16 images"):
        finetune(vit, FINE_TUNED_CLIP, QUICK, val_cells=[0, 1])
    with pytest.raises(DataError, match="there is no worst one"):
        finetune(vit, FINE_TUNED_CLIP, QUICK, val_cells=np.full(16, -1))
    with pytest.raises(DataError, match='"erm" or "group_dro"'):
        finetune(vit, "dro", QUICK)
    wordless = cache_towers(vit.encoder, dataset, templates=TEMPLATES)
    with pytest.raises(DataError, match="needs names of spurious attributes"):
        finetune(wordless, SPURIOUS_LANGUAGE, QUICK)
    one_class = replace(dataset.train, labels=np.zeros(30, dtype=int))
    with pytest.raises(DataError, match="training images of each class"):
        finetune(replace(vit, dataset=replace(dataset, train=one_class)), FINE_TUNED_CLIP, QUICK)
    with pytest.raises(DataError, match="no split 'dev'"):
        pretrained(vit).embeddings("dev")


def test_steps_that_diverge_say_so(vit):
    with pytest.raises(DataError, match="give a lower one"):
        run(vit, FINE_TUNED_CLIP, Settings(learning_rate=1e30, batch_size=8, epochs=5))


def test_what_cannot_be_cached_is_named(dataset):
    with pytest.raises(EncoderError, match="is a PrecomputedEncoder"):
        cache_towers(encoders.PrecomputedEncoder(["a"], [[1.0]]), dataset)
    with pytest.raises(DataError, match="train has no images"):
        cache_towers(tiny_encoder(), replace(dataset, train=replace(dataset.train, images=None)))
    with pytest.raises(DataError, match="Templates are sentences"):
        cache_towers(tiny_encoder(), dataset, templates=["a photo"])


def test_images_that_cannot_be_read_are_left_out_and_listed(dataset, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    images = ImageList([dataset.train.images[row] for row in range(29)] + [broken])
    towers = cache_towers(
        tiny_encoder(), replace(dataset, train=replace(dataset.train, images=images)), templates=TEMPLATES
    )
    assert len(towers.images["train"]) == len(towers.dataset.train) == 29
    assert [image.name for image in towers.dataset.train.unreadable] == [str(broken)]
    assert np.array_equal(towers.dataset.train.labels, dataset.train.labels[:29])
