"""A Session in a folder: one JSON file of what was done, safetensors files of the arrays, never pickle.

```
session.json                 what was tried, kept, retrained and undone, and the names of the other files
train-<digest>.safetensors   labels, embeddings and, where they are known, features, groups and predictions;
                             likewise val and test
added-<digest>.safetensors   labels and embeddings of images that were added from a pool
images-<digest>.json         names and paths of the images of either
head-<digest>.safetensors    the head under review; one for each retrained one
```
Only session.json ever changes, and it is moved into place last: whenever the writer ends, the folder holds
one whole session. What belongs to no session any more is deleted after that.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakKeyDictionary

import numpy as np

from clarify_widget import encoders
from clarify_widget.concepts import Annotation, Annotations, SharpenedPhrase
from clarify_widget.datasets.dataset import Dataset, Split, UnreadableImage
from clarify_widget.datasets.images import ImageList
from clarify_widget.errors import ClarifyError, EncoderError, ImageReadError, SavedSessionError
from clarify_widget.session.curve import CurvePoint
from clarify_widget.session.files import (
    PARTIAL,
    read_arrays,
    replace_file,
    write_arrays_once,
    write_text_once,
)
from clarify_widget.session.history import Retraining, SessionState, Steps
from clarify_widget.session.judgements import Judgement
from clarify_widget.session.origin import Origin
from clarify_widget.session.phrases import embeddings_of
from clarify_widget.session.predictions import features_of
from clarify_widget.session.results import PhraseScore
from clarify_widget.session.reviewing import Addition, Decision, Review
from clarify_widget.session.session import Session
from clarify_widget.training import LinearHead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from clarify_widget.arrays import IntArray
    from clarify_widget.datasets.dataset import ImageSequence
    from clarify_widget.encoders.base import Encoder
    from clarify_widget.session.files import Arrays
    from clarify_widget.session.history import Step
    from clarify_widget.training import Head

    Json = dict[str, Any]
    _Sharpened = Mapping[str, SharpenedPhrase]  # by name

FORMAT = "clarify-widget session"
VERSION = 3
INDEX = "session.json"
_ARRAYS = ("labels", "groups", "features", "embeddings", "predictions", "confidences")
_OURS = re.compile(
    r"(?:session\.json|[a-z]+-[0-9a-f]{16}\.(?:safetensors|json))(?:\.[0-9a-f]{8}" + re.escape(PARTIAL) + ")?"
)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Everything that is saved of a session, as it was at one moment."""

    dataset: Dataset
    encoder: str
    l2: float
    head: Head | None
    predictions: Mapping[str, IntArray]
    tried: tuple[PhraseScore, ...]
    sharpened: tuple[SharpenedPhrase, ...]
    steps: Steps
    reviews: tuple[Review, ...]

    @classmethod
    def of(cls, session: Session) -> Snapshot:
        """Take one of a fitted session; raises NotFittedError before `fit`."""
        with session.lock:
            session.predictions("val")
            return cls(
                dataset=session.dataset_alone,
                encoder=session.encoder.name,
                l2=session.l2,
                head=session.head,
                predictions={
                    split.name: session.predictions(split.name)
                    for split in session.dataset.splits()
                    if session.can_predict(split)
                },
                tried=session.tried,
                sharpened=session.sharpened,
                steps=copy(session.steps),
                reviews=session.reviews,
            )


class SessionFolder:
    """Writes a session into a folder as often as wanted, its arrays only where they are not there yet.

    Raises
    ------
    SavedSessionError
        When the folder holds something else, which is left alone.
    """

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_dir():
            raise SavedSessionError(f"{path} is a file; choose a new or empty folder.")
        if path.is_dir() and any(path.iterdir()) and not holds_session(path):
            raise SavedSessionError(f"{path} holds other files; choose a new or empty folder.")
        self.path = path
        self._splits: WeakKeyDictionary[Split, Json] = WeakKeyDictionary()
        self._heads: WeakKeyDictionary[LinearHead, str] = WeakKeyDictionary()

    def write(self, snapshot: Snapshot) -> None:
        """Put a session in place of the one that was there; raises OSError, and then the old one is whole."""
        self.path.mkdir(parents=True, exist_ok=True)
        description = self._description(snapshot)
        replace_file(self.path / INDEX, json.dumps(description, allow_nan=False).encode())
        self._delete_all_but({INDEX, *_files(description)})

    def _description(self, snapshot: Snapshot) -> Json:
        dataset, steps = snapshot.dataset, snapshot.steps
        additions = _additions_of(steps)
        numbers = {addition: number for number, addition in enumerate(additions)}
        return {
            "format": FORMAT,
            "version": VERSION,
            "dataset": dataset.name,
            "class_names": dataset.class_names,
            "group_names": dataset.group_names,
            "encoder": snapshot.encoder,
            "l2": snapshot.l2,
            "splits": {split.name: self._split(split, snapshot) for split in dataset.splits()},
            "head": self._head(snapshot.head) if isinstance(snapshot.head, LinearHead) else None,
            "history": [_tried_json(tried) for tried in snapshot.tried],
            "sharpened": [vars(one) for one in snapshot.sharpened],
            "models": [self._model(retraining) for retraining in steps.retrainings],
            "additions": [self._addition(addition) for addition in additions],
            "now": _state_json(steps.now, numbers),
            "undo": [_step_json(step, numbers) for step in steps.before],
            "redo": [_step_json(step, numbers) for step in steps.taken_back],
            "reviews": [_review_json(review) for review in snapshot.reviews],
        }

    def _split(self, split: Split, snapshot: Snapshot) -> Json:
        return self._written(split, split.name, lambda: _split_arrays(split, snapshot))

    def _addition(self, addition: Addition) -> Json:
        images = addition.images
        arrays = {"labels": images.labels, "embeddings": embeddings_of(images)}
        about = {"pool": addition.pool, "rows": addition.rows, "names": addition.names}
        return about | self._written(images, "added", lambda: arrays)

    def _written(self, split: Split, name: str, arrays: Callable[[], Arrays]) -> Json:
        known = self._splits.get(split)
        if known is None or not self._has(known["arrays"], known["images"]):
            images = split.images
            known = self._splits[split] = {
                "arrays": write_arrays_once(self.path, name, arrays()),
                "images": None
                if images is None
                else write_text_once(self.path, "images", _images_json(images)),
                "unreadable": [asdict(image) for image in split.unreadable],
            }
        return known

    def _head(self, head: LinearHead) -> str:
        name = self._heads.get(head)
        if name is None or not self._has(name):
            tensors, metadata = head.to_tensors(), head.metadata()
            name = self._heads[head] = write_arrays_once(self.path, "head", tensors, metadata)
        return name

    def _model(self, retraining: Retraining) -> Json:
        """Describe a retraining; the comparison is for people, `load_session` computes it again."""
        comparison = retraining.comparison
        return {
            "number": retraining.number,
            "head": self._head(retraining.head),
            "annotations": _annotations_json(retraining.annotations),
            "curve": [asdict(point) for point in retraining.curve],
            "comparison": {"sentence": comparison.sentence, "origin": asdict(comparison.origin)},
        }

    def _has(self, *names: str | None) -> bool:
        return all(name is None or (self.path / name).exists() for name in names)

    def _delete_all_but(self, names: set[str]) -> None:
        for path in self.path.iterdir():
            if _OURS.fullmatch(path.name) and path.name not in names:
                path.unlink(missing_ok=True)


def save_session(session: Session, folder: Path) -> Path:
    """Write a fitted session to a folder, replacing the session that was there.

    Raises
    ------
    NotFittedError
        Before `fit`.
    SavedSessionError
        When the folder holds something else, which is left alone, or cannot be written to.
    """
    snapshot = Snapshot.of(session)
    try:
        SessionFolder(folder).write(snapshot)
    except OSError as error:
        raise SavedSessionError(f"The session cannot be saved to {folder}: {reason_of(error)}.") from error
    return folder


def reason_of(error: Exception) -> str:
    """Return why something could not be written, in the words of the system."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def holds_session(folder: Path) -> bool:
    """Tell whether a folder holds a saved session, whole or damaged."""
    return (folder / INDEX).exists()


def load_session(
    folder: Path,
    *,
    dataset: Dataset | None,
    encoder: str | Encoder | None,
    cache_dir: str | Path | None = None,
    device: str | None = None,
) -> Session:
    """Open the folder that `save_session` wrote; see `Session.load`."""
    description = _read_description(folder)
    with _damage_in(folder):
        restored = _dataset(description, folder, dataset)
        loaded = _encoder(description, encoder, device)
        session = Session(restored, loaded, cache_dir=cache_dir, l2=float(description["l2"]))
        if description["head"] is not None:
            session.head = LinearHead.load(folder / description["head"])
        session.fit()
        _restore(session, folder, description)
    return session


def go_on_from(session: Session, folder: Path) -> None:
    """Put what was done in a saved session, if anything was, into a fitted one with which nothing was done.

    Raises
    ------
    SavedSessionError
        When the folder is damaged, or was saved over other data, with another encoder or another model, or
        when something was done with the session already.
    """
    description = _read_description(folder)
    with _damage_in(folder):
        if not any(description.get(kind) for kind in ("history", "sharpened", "undo", "reviews")):
            return
        difference = _difference(session, folder, description)
        if difference:
            raise SavedSessionError(
                f"{folder} holds a session {difference}. "
                "Open that one with Session.load, or give another folder."
            )
        _restore(session, folder, description)


def _difference(session: Session, folder: Path, description: Json) -> str:
    """Return why a saved session cannot go on in this one; empty when it can."""
    if session.tried or session.undoable or session.reviews:
        return "with other work than this one"
    if description["encoder"] != session.encoder.name:
        return f"with the encoder {description['encoder']!r}, not {session.encoder.name!r}"
    if tuple(description["class_names"]) != session.class_names:
        return f"with the classes {description['class_names'][:10]}"
    arrays = {
        name: read_arrays(folder / saved["arrays"], only=("labels", "predictions"))
        for name, saved in description["splits"].items()
    }
    for split in session.dataset.splits():
        if not np.array_equal(arrays.get(split.name, {}).get("labels", np.empty(0)), split.labels):
            return f"whose {split.name} images have other labels"
    predicted = arrays["val"].get("predictions")
    if predicted is None:
        predicted = LinearHead.load(folder / description["head"]).predict(features_of(session.dataset.val))
    return (
        "" if np.array_equal(predicted, session.predictions("val")) else "of a model that predicts otherwise"
    )


def _restore(session: Session, folder: Path, description: Json) -> None:
    history = [_phrase_score(tried) for tried in description["history"]]
    sharpened = {one["name"]: SharpenedPhrase(**one) for one in description["sharpened"]}
    session.learn(sharpened.values())
    models = [_read_model(session, folder, saved, sharpened) for saved in description["models"]]
    additions = [_addition(folder, saved) for saved in description.get("additions", ())]
    parts = _Parts({model.number: model for model in models}, sharpened, additions)
    steps = Steps(
        _state(description["now"], parts),
        models,
        before=[_step(saved, parts) for saved in description["undo"]],
        taken_back=[_step(saved, parts) for saved in description["redo"]],
    )
    reviews = [_review(saved) for saved in description.get("reviews", ())]
    session.restore(folder, history, steps, reviews)


# -- from a session to JSON and arrays


def _split_arrays(split: Split, snapshot: Snapshot) -> Arrays:
    arrays = {name: getattr(split, name) for name in _ARRAYS if getattr(split, name) is not None}
    if arrays.get("features") is arrays.get("embeddings"):
        arrays.pop("features")
    if not isinstance(snapshot.head, LinearHead) and split.name in snapshot.predictions:
        # A model from outside is not ours to save; what it predicts is. What was added comes last.
        arrays["predictions"] = snapshot.predictions[split.name][: len(split)]
    return arrays


def _images_json(images: ImageSequence) -> str:
    names = [images.name(row) for row in range(len(images))]
    return json.dumps({"names": names, "paths": _paths(images)})


def _paths(images: ImageSequence) -> list[str | None] | None:
    """Return where the images lie that are files; None where none is."""
    if not isinstance(images, ImageList):
        return None
    paths = [images.path(row) for row in range(len(images))]
    return paths if any(path is not None for path in paths) else None


def _tried_json(tried: PhraseScore) -> Json:
    return {**vars(tried), "origin": vars(tried.origin)}


def _annotations_json(annotations: Annotations) -> list[Json]:
    """Describe annotations; what their sharpened phrases are made of is written once for the session."""
    return [{**vars(kept), "sharpened": [one.name for one in kept.sharpened]} for kept in annotations]


def _additions_of(steps: Steps) -> list[Addition]:
    """Return everything that was ever added in a state that can be returned to, each once."""
    states = [*(state for _, state in (*steps.before, *steps.taken_back)), steps.now]
    return list(dict.fromkeys(addition for state in states for addition in state.additions))


def _state_json(state: SessionState, numbers: Mapping[Addition, int]) -> Json:
    return {
        "annotations": _annotations_json(state.annotations),
        "model": None if state.retraining is None else state.retraining.number,
        "judgements": [vars(one) for one in state.judgements],
        "additions": [numbers[addition] for addition in state.additions],
    }


def _step_json(step: Step, numbers: Mapping[Addition, int]) -> Json:
    what, state = step
    return {"what": what, **_state_json(state, numbers)}


def _review_json(review: Review) -> Json:
    decisions = [vars(decision) for decision in review.decisions]
    return {"pool": review.pool, "decisions": decisions, "added": sorted(review.added)}


def _files(description: Json) -> list[str]:
    """Return the names of all files that a description speaks of."""
    heads = [description["head"], *(model["head"] for model in description["models"])]
    splits = description["splits"].values()
    names = [saved[kind] for saved in (*splits, *description["additions"]) for kind in ("arrays", "images")]
    return [name for name in [*names, *heads] if name is not None]


# -- and back


def _read_description(folder: Path) -> Json:
    path = folder / INDEX
    if not path.exists():
        raise SavedSessionError(
            f"{folder} is not a saved session: it has no {INDEX}. Save one with session.save."
        )
    description = _read_json(path)
    if description.get("format") != FORMAT:
        raise SavedSessionError(f"{path} does not describe a session of clarify_widget.")
    if description.get("version") != VERSION:
        raise SavedSessionError(
            f"{path} has version {description.get('version')}; this package reads version {VERSION}. "
            "Open it with the release that wrote it, or save the session anew.",
        )
    return description


def _read_json(path: Path) -> Json:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SavedSessionError(f"{path} cannot be read: {error}") from error
    return content if isinstance(content, dict) else {}


@contextmanager
def _damage_in(folder: Path) -> Iterator[None]:
    """Turn whatever goes wrong with what a folder holds into one clear error."""
    try:
        yield
    except SavedSessionError:
        raise
    except (ClarifyError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise SavedSessionError(f"{folder} is damaged or from another version: {error}") from error


def _dataset(description: Json, folder: Path, given: Dataset | None) -> Dataset:
    splits = {name: _split(name, saved, folder, given) for name, saved in description["splits"].items()}
    group_names = description["group_names"]
    return Dataset(
        description["dataset"],
        tuple(description["class_names"]),
        splits["train"],
        splits["val"],
        splits.get("test"),
        None if group_names is None else tuple(group_names),
    )


def _split(name: str, saved: Json, folder: Path, given: Dataset | None) -> Split:
    arrays = read_arrays(folder / saved["arrays"])
    images, masks = (
        (_saved_images(saved, folder), None) if given is None else _given_images(name, saved, arrays, given)
    )
    unreadable = tuple(UnreadableImage(**image) for image in saved["unreadable"])
    return Split(name, images=images, masks=masks, unreadable=unreadable, **arrays)


def _saved_images(saved: Json, folder: Path) -> ImageSequence | None:
    if saved["images"] is None:
        return None
    content = _read_json(folder / saved["images"])
    paths = content["paths"]
    return None if paths is None or None in paths else ImageList(paths, content["names"])


def _addition(folder: Path, saved: Json) -> Addition:
    arrays = read_arrays(folder / saved["arrays"], only=("labels", "embeddings"))
    images = None if saved["images"] is None else _added_images(_read_json(folder / saved["images"]))
    split = Split("train", images=images, **arrays)
    return Addition(saved["pool"], tuple(saved["rows"]), tuple(saved["names"]), split)


def _added_images(content: Json) -> ImageSequence:
    names = content["names"]
    paths = content["paths"] or [None] * len(names)
    return ImageList([path or _not_saved for path in paths], names)


def _not_saved() -> NoReturn:
    raise ImageReadError("it was no file, so that it is not saved with the session")


def _given_images(
    name: str, saved: Json, arrays: Arrays, given: Dataset
) -> tuple[ImageSequence | None, ImageSequence | None]:
    """Return the images and the masks of what was saved, as far as they are known."""
    split = next((split for split in given.splits() if split.name == name), None)
    if split is None or split.images is None:
        return None, None
    left_out = {image["name"] for image in saved["unreadable"]}
    kept = np.array(
        [row for row in range(len(split)) if split.images.name(row) not in left_out], dtype=np.int64
    )
    if not np.array_equal(split.labels[kept], arrays["labels"]):
        raise SavedSessionError(
            f"The data set {given.name!r} is not the one that was saved: its {name} labels differ. "
            "Pass the same data set, or none.",
        )
    return split.images.take(kept), None if split.masks is None else split.masks.take(kept)


def _encoder(description: Json, given: str | Encoder | None, device: str | None) -> Encoder:
    if given is None:
        try:
            return encoders.load(description["encoder"], device=device)
        except EncoderError as error:
            raise SavedSessionError(
                f"The session was made with another encoder; pass encoder=. {error}"
            ) from error
    loaded = encoders.load(given, device=device)
    if loaded.name != description["encoder"]:
        raise SavedSessionError(
            f"The session was made with the encoder {description['encoder']!r}; got {loaded.name!r}, "
            "whose similarities would not fit the thresholds that were kept.",
        )
    return loaded


def _read_model(session: Session, folder: Path, saved: Json, sharpened: _Sharpened) -> Retraining:
    head = LinearHead.load(folder / saved["head"])
    annotations = _annotations(saved["annotations"], sharpened)
    return Retraining(
        saved["number"],
        head,
        annotations,
        session.compare_with(head, annotations),
        tuple(CurvePoint(**point) for point in saved["curve"]),
    )


def _annotations(saved: Iterable[Json], sharpened: _Sharpened) -> Annotations:
    return Annotations(
        Annotation(**{**kept, "sharpened": tuple(sharpened[name] for name in kept["sharpened"])})
        for kept in saved
    )


@dataclass(frozen=True)
class _Parts:
    """What saved states refer to."""

    models: Mapping[int, Retraining]  # by number
    sharpened: _Sharpened
    additions: Sequence[Addition]


def _state(saved: Json, parts: _Parts) -> SessionState:
    number = saved["model"]
    annotations = _annotations(saved["annotations"], parts.sharpened)
    judgements = tuple(Judgement(**one) for one in saved.get("judgements", ()))
    additions = tuple(parts.additions[place] for place in saved.get("additions", ()))
    return SessionState(annotations, None if number is None else parts.models[number], judgements, additions)


def _step(saved: Json, parts: _Parts) -> Step:
    return saved["what"], _state(saved, parts)


def _phrase_score(tried: Json) -> PhraseScore:
    origin = Origin(**tried["origin"])
    return PhraseScore(**{**tried, "unknown_words": tuple(tried["unknown_words"]), "origin": origin})


def _review(saved: Json) -> Review:
    decisions = tuple(
        Decision(tuple(one["rows"]), tuple(one["names"]), one["class_name"]) for one in saved["decisions"]
    )
    return Review(saved["pool"], decisions, frozenset(saved["added"]))
