"""A Session in a folder: one JSON file of what was done, safetensors files of the arrays, never pickle.

```
session.json          names, history, annotations, the before/after settings, and what belongs to which file
train.safetensors     labels, embeddings and, where they are known, features, groups and predictions
val.safetensors       (test.safetensors)
heads.safetensors     the head under review and the retrained one
```
The folder is written beside its place and moved in at the end, so that a crash leaves the old one whole.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from clarify_widget import encoders
from clarify_widget.concepts import Annotation, Annotations, SharpenedPhrase
from clarify_widget.datasets.dataset import Dataset, Split, UnreadableImage
from clarify_widget.datasets.images import ImageList
from clarify_widget.errors import ClarifyError, EncoderError, SavedSessionError
from clarify_widget.session.origin import Origin
from clarify_widget.session.results import PhraseScore
from clarify_widget.session.session import Session
from clarify_widget.training import LinearHead

if TYPE_CHECKING:
    from clarify_widget.arrays import FloatArray, IntArray
    from clarify_widget.datasets.dataset import ImageSequence
    from clarify_widget.encoders.base import Encoder

FORMAT = "clarify-widget session"
VERSION = 3
_READABLE = (2, VERSION)  # 2 knew no sharpened phrases
_ARRAYS = ("labels", "groups", "features", "embeddings", "predictions")


def save_session(session: Session, folder: Path) -> Path:
    """Write a fitted session to a folder, replacing the session that was there.

    Raises
    ------
    NotFittedError
        Before `fit`.
    SavedSessionError
        When the folder holds something else, which is left alone.
    """
    session.predictions("val")
    if folder.exists() and any(folder.iterdir()) and not (folder / "session.json").exists():
        raise SavedSessionError(f"{folder} holds other files; choose a new or empty folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with session.lock, tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as place:
        draft = Path(place) / folder.name
        draft.mkdir()
        for split in session.dataset.splits():
            save_file(_split_arrays(session, split), draft / f"{split.name}.safetensors")
        save_file(_heads(session), draft / "heads.safetensors")
        text = json.dumps(_description(session), indent=2, ensure_ascii=False, allow_nan=False)
        (draft / "session.json").write_text(text, encoding="utf-8")
        _move_in(draft, folder, Path(place) / "old")
    return folder


def load_session(folder: Path, *, dataset: Dataset | None, encoder: str | Encoder | None) -> Session:
    """Open the folder that `save_session` wrote; see `Session.load`."""
    description = _read_description(folder)
    arrays = {name: _read_arrays(folder / f"{name}.safetensors") for name in description["splits"]}
    try:
        restored = _dataset(description, arrays, dataset)
        session = Session(restored, _encoder(description, encoder), l2=float(description["l2"]))
        heads = _read_arrays(folder / "heads.safetensors")
        if "before.weights" in heads:
            session.head = _head(heads, "before", description["heads"]["before"])
        session.fit()
        annotations = Annotations(Annotation.from_dict(kept) for kept in description["annotations"])
        history = [_phrase_score(tried) for tried in description["history"]]
        retrained = _head(heads, "after", description["heads"]["after"]) if "after.weights" in heads else None
        sharpened = [SharpenedPhrase(**one) for one in description.get("sharpened", ())]
        used = Annotations(Annotation.from_dict(kept) for kept in description["retrained_with"])
    except SavedSessionError:
        raise
    except (ClarifyError, KeyError, TypeError, ValueError) as error:
        raise SavedSessionError(f"{folder} is damaged or from another version: {error}") from error
    session.restore(annotations, history, retrained, used, sharpened)
    return session


def _split_arrays(session: Session, split: Split) -> dict[str, Any]:
    arrays = {name: getattr(split, name) for name in _ARRAYS if getattr(split, name) is not None}
    if arrays.get("features") is arrays.get("embeddings"):
        arrays.pop("features")
    if not isinstance(session.head, LinearHead) and session.can_predict(split):
        # A model from outside is not ours to save; what it predicts is.
        arrays["predictions"] = session.predictions(split.name)
    return {name: np.ascontiguousarray(values) for name, values in arrays.items()}


def _heads(session: Session) -> dict[str, Any]:
    named = {"before": session.head, "after": session.retrained}
    tensors: dict[str, Any] = {"format": np.array([VERSION])}
    for name, head in named.items():
        if isinstance(head, LinearHead):
            tensors |= {f"{name}.{part}": values for part, values in head.to_tensors().items()}
    return tensors


def _description(session: Session) -> dict[str, Any]:
    dataset = session.dataset
    retraining = session.retraining
    return {
        "format": FORMAT,
        "version": VERSION,
        "dataset": dataset.name,
        "class_names": dataset.class_names,
        "group_names": dataset.group_names,
        "encoder": session.encoder.name,
        "l2": session.l2,
        "splits": {split.name: _split_description(split) for split in dataset.splits()},
        "history": [asdict(tried) for tried in session.tried],
        "sharpened": [asdict(one) for one in session.sharpened],
        "annotations": [asdict(kept) for kept in session.annotations],
        "heads": {
            "before": _head_description(session.head),
            "after": _head_description(session.retrained),
        },
        "comparison": _comparison_description(session),
        "retrained_with": [] if retraining is None else [asdict(kept) for kept in retraining.annotations],
    }


def _split_description(split: Split) -> dict[str, Any]:
    return {
        "images": None if split.images is None else [split.images.name(row) for row in range(len(split))],
        "paths": _paths(split.images),
        "unreadable": [asdict(image) for image in split.unreadable],
    }


def _paths(images: ImageSequence | None) -> list[str] | None:
    """Return where the images lie, if they are files."""
    if not isinstance(images, ImageList):
        return None
    paths = [images.path(row) for row in range(len(images))]
    return None if None in paths else [str(path) for path in paths]


def _head_description(head: object) -> dict[str, Any] | None:
    if not isinstance(head, LinearHead):
        return None
    return {"objective": head.objective, "l2": head.l2}


def _comparison_description(session: Session) -> dict[str, Any] | None:
    """Return before and after for people who read the file; `load_session` computes them again."""
    if session.retraining is None:
        return None
    comparison = session.retraining.comparison
    return {"sentence": comparison.sentence, "origin": asdict(comparison.origin)}


def _move_in(draft: Path, folder: Path, old: Path) -> None:
    if folder.exists():
        folder.replace(old)
    draft.replace(folder)
    if old.exists():
        shutil.rmtree(old)


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / "session.json"
    if not path.exists():
        raise SavedSessionError(
            f"{folder} is not a saved session: it has no session.json. Save one with session.save."
        )
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SavedSessionError(f"{path} cannot be read: {error}") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise SavedSessionError(f"{path} does not describe a session of clarify_widget.")
    if description.get("version") not in _READABLE:
        raise SavedSessionError(
            f"{path} has version {description.get('version')}; this package reads versions "
            f"{' and '.join(map(str, _READABLE))}. "
            "Open it with the release that wrote it, or save the session anew.",
        )
    return description


def _read_arrays(path: Path) -> dict[str, Any]:
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise SavedSessionError(f"{path} is missing or damaged: {error}") from error


def _dataset(
    description: dict[str, Any], arrays: dict[str, dict[str, Any]], given: Dataset | None
) -> Dataset:
    splits = {
        name: _split(name, description["splits"][name], parts, _images(name, description, parts, given))
        for name, parts in arrays.items()
    }
    group_names = description["group_names"]
    return Dataset(
        description["dataset"],
        tuple(description["class_names"]),
        splits["train"],
        splits["val"],
        splits.get("test"),
        None if group_names is None else tuple(group_names),
    )


def _split(
    name: str, description: dict[str, Any], arrays: dict[str, Any], images: ImageSequence | None
) -> Split:
    return Split(
        name,
        images=images,
        unreadable=tuple(UnreadableImage(**image) for image in description["unreadable"]),
        **arrays,
    )


def _images(
    name: str,
    description: dict[str, Any],
    arrays: dict[str, Any],
    given: Dataset | None,
) -> ImageSequence | None:
    saved = description["splits"][name]
    if given is None:
        return None if saved["paths"] is None else ImageList(saved["paths"], saved["images"])
    split = next((split for split in given.splits() if split.name == name), None)
    left_out = {image["name"] for image in saved["unreadable"]}
    if split is None or split.images is None:
        return None
    kept = np.array(
        [row for row in range(len(split)) if split.images.name(row) not in left_out], dtype=np.int64
    )
    if not np.array_equal(split.labels[kept], arrays["labels"]):
        raise SavedSessionError(
            f"The data set {given.name!r} is not the one that was saved: its {name} labels differ. "
            "Pass the same data set, or none.",
        )
    return split.images.take(kept)


def _encoder(description: dict[str, Any], given: str | Encoder | None) -> str | Encoder:
    if given is None:
        try:
            return encoders.load(description["encoder"])
        except EncoderError as error:
            raise SavedSessionError(
                f"The session was made with another encoder; pass encoder=. {error}"
            ) from error
    loaded = encoders.load(given)
    if loaded.name != description["encoder"]:
        raise SavedSessionError(
            f"The session was made with the encoder {description['encoder']!r}; got {loaded.name!r}, "
            "whose similarities would not fit the thresholds that were kept.",
        )
    return loaded


def _head(tensors: dict[str, FloatArray | IntArray], name: str, description: dict[str, Any]) -> LinearHead:
    own = {
        part.removeprefix(f"{name}."): values
        for part, values in tensors.items()
        if part.startswith(f"{name}.")
    }
    return LinearHead.from_tensors(own, **description)


def _phrase_score(tried: dict[str, Any]) -> PhraseScore:
    known = {part.name for part in fields(PhraseScore)}
    values = {name: value for name, value in tried.items() if name in known}
    values["unknown_words"] = tuple(values["unknown_words"])
    values["origin"] = Origin(**values["origin"])
    return PhraseScore(**values)
