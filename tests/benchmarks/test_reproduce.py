"""The commands of the reproduction page, on data sets in their true layouts and open_clip models on disk."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from clarify_widget.errors import DataError
from clarify_widget.methods.table import METHODS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reproduction.md"


@pytest.fixture
def reproduce(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import reproduce

    monkeypatch.setattr(reproduce.cw.encoders, "load", on_cpu(reproduce.cw.encoders.load))
    return reproduce


def on_cpu(load):
    return lambda name: load(name, device="cpu")


@pytest.fixture
def run(reproduce, monkeypatch, tmp_path):
    """Run the command on a copy of the page; return the copy's text."""

    def run(*arguments):
        page = tmp_path / "page.md"
        if not page.exists():
            page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["reproduce.py", *map(str, arguments), "--write", str(page)])
        reproduce.main()
        return page.read_text(encoding="utf-8")

    return run


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Save two small random models as open_clip does: one for the head, a wider one for phrases."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("models")
    for seed, (name, width) in enumerate({"backbone": 16, "encoder": 24}.items()):
        config = {
            "embed_dim": width,
            "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
            "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
        }
        torch.manual_seed(seed)
        model = open_clip.model.CLIP(**json.loads(json.dumps(config)))
        (folder / name).mkdir()
        weights = {key: value.contiguous() for key, value in model.state_dict().items()}
        save_file(weights, folder / name / "open_clip_model.safetensors")
        text = json.dumps({"model_cfg": config, "preprocess_cfg": {}})
        (folder / name / "open_clip_config.json").write_text(text)
    return {name: f"local-dir:{folder / name}" for name in ("backbone", "encoder")}


def picture(path, brightness, background, rng):
    """Save noise of a class's brightness on a background of the spurious attribute's colour."""
    pixels = rng.normal(90 + 30 * brightness, 60, (32, 32, 3))
    pixels[:16, :, 2 * background] += 110
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=95)


def images_of(split):
    """Yield label, attribute and number of every image: few of the minority groups in training."""
    for label in (0, 1):
        for attribute in (0, 1):
            for number in range(10 if split or label == attribute else 4):
                yield label, attribute, number


@pytest.fixture(scope="module")
def waterbirds(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("waterbirds"), np.random.default_rng(0)
    lines = ["img_id,img_filename,y,split,place,place_filename"]
    for split in range(3):
        for label, place, number in images_of(split):
            name = f"{label}.Bird/{split} {place} {number}.jpg"
            picture(root / name, label, place, rng)
            lines.append(f"{len(lines)},{name},{label},{split},{place},/x.jpg")
    (root / "metadata.csv").write_text("\n".join(lines))
    return root


@pytest.fixture(scope="module")
def celeba(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("celeba"), np.random.default_rng(1)
    attributes, partition = [], []
    for split in range(3):
        for label, male, _ in images_of(split):
            name = f"{len(attributes) + 1:06}.jpg"
            picture(root / "img_align_celeba" / name, label, male, rng)
            attributes.append(f"{name} {2 * label - 1:2} {2 * male - 1:2}")
            partition.append(f"{name} {split}")
    head = [str(len(attributes)), "Blond_Hair Male"]
    (root / "list_attr_celeba.txt").write_text("\n".join(head + attributes))
    (root / "list_eval_partition.txt").write_text("\n".join(partition))
    return root


CLASSES = ("n04090263", "n02441942", "n02808440")  # rifle, weasel, bathtub


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("imagenet"), np.random.default_rng(2)
    captions = []
    for split, count in (("train", 12), ("val", 14)):
        for number, name in enumerate(CLASSES):
            for row in range(count):
                path = root / split / name / f"{split}_{name}_{row}.JPEG"
                picture(path, number, (number + (row % 3 == 0)) % 2, rng)
                captions.append(
                    {"path": str(path.relative_to(root)), "caption": f"a weasel in the grass {row}"}
                )
    (root / "captions.jsonl").write_text("\n".join(map(json.dumps, captions)))
    return root


def block(page, key):
    return page.partition(f"<!-- {key} -->")[2].partition(f"<!-- end of {key} -->")[0]


def cells_of(page, key, name):
    line = next(line for line in block(page, key).splitlines() if f"| {name} |" in line)
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_table_1_runs_both_data_sets_on_two_models_and_fills_the_page(
    run, reproduce, models, waterbirds, celeba, tmp_path, monkeypatch
):
    names = ("ERM (ours)", "Clarify (slice-balanced)", "DFR (ours)")
    rows = tuple(row for row in reproduce.TABLE_1 if row.method in names)
    monkeypatch.setattr(reproduce, "TABLE_1", rows)
    page = run(
        *("--table", 1, "--waterbirds", waterbirds, "--celeba", celeba, "--seeds", 1),
        *("--backbone", models["backbone"], "--encoder", models["encoder"]),
    )
    for dataset, worst in (("Waterbirds", "63.4"), ("CelebA", "31.1")):
        key = f"table 1: {dataset}"
        cells = cells_of(page, key, "ERM (ours)")
        assert cells[2] == worst
        assert all(re.fullmatch(r"\d+\.\d", cell) for cell in cells[2:])
        assert "local-dir:backbone for the head, local-dir:encoder for phrases" in block(page, key)
        assert "not CLIP features" not in block(page, key)
        assert "--backbone local-dir:backbone --encoder local-dir:encoder" in block(page, key)
        assert str(tmp_path.parent) not in page
    blocks = list((tmp_path / "outputs" / "embeddings").rglob("*.safetensors"))
    assert len({block.parent for block in blocks}) == 2


def test_heads_train_on_the_backbone_and_phrases_are_compared_in_the_encoder(reproduce, models, waterbirds):
    backbone, encoder = (reproduce.cw.encoders.load(models[name]) for name in ("backbone", "encoder"))
    dataset = reproduce.cw.datasets.waterbirds(waterbirds)
    source = reproduce.embedded(dataset, reproduce.WATERBIRDS, backbone, encoder, None)
    feedback = next(method for method in METHODS if method.assumes == "labels, text feedback")
    erm = next(method for method in METHODS if method.name == "ERM")
    assert source.problem_of(feedback, 3).train.features.shape[1] == 16
    assert source.problem_of(feedback, 3).train.embeddings.shape[1] == 24
    assert source.problem_of(feedback, 3).encoder is encoder
    assert source.problem_of(erm, 3).train.embeddings.shape[1] == 16
    assert source.problem_of(erm, 3).encoder is backbone
    assert source.problem_of(erm, 3).seed == 3
    images = [dataset.test.images[row] for row in range(len(dataset.test))]
    assert np.allclose(source.feedback.test.features, backbone.encode_images(images), atol=1e-5)
    assert np.allclose(source.feedback.test.embeddings, encoder.encode_images(images), atol=1e-5)


def test_celeba_uses_the_published_learning_rate_of_its_own(reproduce, models, celeba):
    encoder = reproduce.cw.encoders.load(models["encoder"])
    dataset = reproduce.cw.datasets.celeba(celeba)
    source = reproduce.embedded(dataset, reproduce.CELEBA, encoder, encoder, None)
    assert source.feedback.learning_rate == 0.1
    assert source.feedback.dataset.class_names[source.feedback.dataset.num_classes - 1] == "blond hair"


def test_table_3_retrains_with_every_phrase_of_the_users(run, reproduce, models, waterbirds):
    page = run(
        *("--table", 3, "--waterbirds", waterbirds),
        *("--backbone", models["backbone"], "--encoder", models["encoder"]),
    )
    summary = cells_of(page, "table 3: Waterbirds", "each user's best worst group")
    assert summary[1:3] == ["27", "63.5 (SD 4.7, max 69.5)"]
    assert re.fullmatch(r"\d+\.\d \(SD \d+\.\d\)", summary[3])
    phrases = reproduce.TABLE_3["Waterbirds"]
    unique = {*phrases.best_worst_group, *phrases.best_error_score, *phrases.others}
    assert f"All {len(unique)} phrases" in page
    assert len(cells_of(page, "table 3: Waterbirds", "a lot of tree trunks")) == 6
    assert "not run" in cells_of(page, "table 3: CelebA", "each user's best worst group")


def test_table_4_takes_a_backbone_for_each_half(run, reproduce, models, waterbirds, monkeypatch):
    halves = {
        name: [row for row in rows if row.method == "ERM (ours)"] for name, rows in reproduce.TABLE_4.items()
    }
    monkeypatch.setattr(reproduce, "TABLE_4", halves)
    page = run(
        *("--table", 4, "--waterbirds", waterbirds, "--seeds", 2),
        *("--backbone", models["backbone"], models["encoder"], "--encoder", models["encoder"]),
    )
    first, second = (block(page, f"table 4: Waterbirds, {name}") for name in halves)
    assert "local-dir:backbone for the head" in first
    assert "local-dir:encoder for the head" in second
    assert "79.5" in second


def test_tables_2_and_5_read_imagenet_from_folders_with_captions(run, models, imagenet):
    arguments = ("--imagenet", imagenet, "--classes", *CLASSES, "--encoder", models["encoder"])
    page = run("--table", 2, *arguments, "--captions", imagenet / "captions.jsonl")
    grass = cells_of(page, "table 2: ImageNet", "grass")
    assert grass[1:3] == ["-0.87", "85.7 (N=7)"]
    assert grass[4].endswith("(N=14)")
    assert cells_of(page, "table 2: ImageNet", "dead squirrels")[4] == "- (N=0)"
    assert cells_of(page, "table 2: ImageNet", "street lamp")[3] == "not run"

    page = run("--table", 5, *arguments)
    weasel = cells_of(page, "table 5: ImageNet", "weasel")
    sizes = [int(re.search(r"N=(\d+)", cell)[1]) for cell in weasel[2:]]
    assert sizes[0] == sizes[1]
    assert sizes[0] + sizes[2] == 14
    assert cells_of(page, "table 5: ImageNet", "bath tub")[2] != "not run"
    assert cells_of(page, "table 5: ImageNet", "ear")[2] == "not run"
    assert "Over all 42 validation images" in page


def test_without_training_images_the_zero_shot_model_is_looked_at(run, models, imagenet, tmp_path):
    (tmp_path / "val").symlink_to(imagenet / "val")
    page = run("--table", 5, "--imagenet", tmp_path, "--classes", *CLASSES, "--encoder", models["encoder"])
    assert "zero-shot, 80 templates" in page
    assert "to retrain, a train folder is needed" in page
    assert cells_of(page, "table 5: ImageNet", "weasel")[3] == "not run"


@pytest.mark.parametrize("table", range(1, 7))
def test_without_data_every_table_keeps_the_papers_numbers_and_says_what_it_needs(
    run, reproduce, table, tmp_path
):
    emptied = re.sub(
        r"(<!-- (table .*?) -->\n).*?(<!-- end of \2 -->)", r"\1\3", PAGE.read_text(), flags=re.DOTALL
    )
    (tmp_path / "page.md").write_text(emptied)
    page = run("--table", table)
    filled = re.findall(rf"<!-- (table {table}: .*?) -->\n(?!<!--)", page)
    assert len(filled) == {1: 2, 2: 2, 3: 2, 4: 4, 5: 1, 6: 2}[table]
    for key in filled:
        assert f"python benchmarks/reproduce.py --table {table} {reproduce.FULL[table]} --write" in block(
            page, key
        )


def test_what_was_measured_is_kept_where_a_later_run_lacks_the_data(reproduce, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- table 1: X -->\n<!-- end of table 1: X -->\nafter\n")
    assert reproduce.write_block(page, "table 1: X", f"{reproduce.NOT_RUN} It needs X.")
    assert reproduce.write_block(page, "table 1: X", "measured 1")
    assert not reproduce.write_block(page, "table 1: X", f"{reproduce.NOT_RUN} It needs X.")
    assert reproduce.write_block(page, "table 1: X", "measured 2")
    assert page.read_text() == "before\n<!-- table 1: X -->\nmeasured 2\n<!-- end of table 1: X -->\nafter\n"
    with pytest.raises(DataError, match=r"needs the markers '<!-- table 9: X -->'"):
        reproduce.write_block(page, "table 9: X", "lost")


def test_names_of_weights_lose_their_folders(reproduce):
    names = ("RN50/openai", "local-dir:/home/me/clip", "ViT-L-14@/home/me/weights.safetensors")
    shown = ["RN50/openai", "local-dir:clip", "ViT-L-14@weights.safetensors"]
    assert [reproduce.without_folder(name) for name in names] == shown


def test_wrong_folders_of_imagenet_and_captions_are_named(reproduce, tmp_path):
    with pytest.raises(DataError, match=r"There is no .*/val, nor"):
        reproduce.read_imagenet(tmp_path, None, None)
    captions = tmp_path / "captions.jsonl"
    captions.write_text('{"path": "val/rifle/1.JPEG", "caption": "a gun"}\n{"path": 3}\n')
    with pytest.raises(DataError, match=r'line 2: expected \{"path"'):
        reproduce.read_captions(captions, ["rifle/1.JPEG"])
    captions.write_text('{"path": "val/rifle/1.JPEG", "caption": "a gun"}\n')
    with pytest.raises(DataError, match=r"no caption for 1 images, the first rifle/2\.JPEG"):
        reproduce.read_captions(captions, ["rifle/1.JPEG", "rifle/2.JPEG"])


def test_published_gaps_are_average_minus_worst_group(reproduce):
    groups = [*reproduce.TABLE_4.values(), *reproduce.TABLE_6.values()]
    for row in (row for rows in groups for row in rows):
        for numbers in (row.waterbirds, row.celeba):
            assert numbers.gap == pytest.approx(numbers.average - numbers.worst_group, abs=0.11), row


def test_published_lists_have_their_lengths_and_name_methods_of_the_league(reproduce):
    assert [len(reproduce.TABLE_1), *map(len, reproduce.TABLE_4.values())] == [12, 15, 14]
    assert all(len(paper.keywords) == 10 for paper in reproduce.TABLE_2.values())
    assert len(reproduce.TABLE_5) == 31
    phrase_of = {row.class_name: row.phrase for row in reproduce.TABLE_5}
    assert all(phrase_of[name] == paper.phrase for name, paper in reproduce.TABLE_2.items())
    known = {method.name for method in METHODS}
    assert {row.recipe for rows in reproduce.TABLE_4.values() for row in rows if row.recipe} <= known
