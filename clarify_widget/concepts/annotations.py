"""What people said about the model's errors: (class, phrase, threshold) tuples, kept in order."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clarify_widget.concepts.sharpening import SharpenedPhrase
from clarify_widget.errors import DataError, PhraseError, SavedSessionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FORMAT = "clarify_widget annotations"
VERSION = 2
_READABLE = (1, 2)  # version 1 knew no sharpened phrases, and nothing could be switched off


@dataclass(frozen=True)
class Annotation:
    """A binary classifier of the model's errors on one class: whether an image has the phrase.

    Attributes
    ----------
    class_name
        The class that it is about; other classes are untouched by it.
    phrase
        What completes "The AI is often wrong on images that have ___ in it."
    threshold
        Cosine similarity above which (strictly) an image has the phrase.
    score
        The Error Score it had when it was made, 0..1, where it is known.
    active
        Whether retraining takes it into account.
    sharpened
        The sharpened phrases that the phrase is, or is joined from, with the images marked for them.

    Raises
    ------
    PhraseError
        When the phrase is blank.
    DataError
        When the threshold is not a finite number, the score is not in 0..1, or a name is not text.

    Notes
    -----
    The tuple (class label, text prompt, similarity threshold) of Lee et al., "Clarify" (UIST 2024),
    section 4.1.
    """

    class_name: str
    phrase: str
    threshold: float
    score: float | None = None
    active: bool = True
    sharpened: tuple[SharpenedPhrase, ...] = ()

    def __post_init__(self) -> None:
        """Check every part."""
        if not isinstance(self.class_name, str):
            raise DataError(f"class_name must be text; got {self.class_name!r}.")
        if not isinstance(self.phrase, str) or not self.phrase.strip():
            raise PhraseError(f"An annotation needs a phrase, such as 'red'; got {self.phrase!r}.")
        object.__setattr__(self, "threshold", _finite(self.threshold, "threshold"))
        if self.score is not None:
            object.__setattr__(self, "score", _finite(self.score, "score"))
            if not 0 <= self.score <= 1:
                raise DataError(f"An Error Score is in 0..1; got {self.score}.")

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> Annotation:
        """Read what `dataclasses.asdict` made of an annotation."""
        sharpened = tuple(SharpenedPhrase(**one) for one in entry.get("sharpened", ()))
        return cls(**{**entry, "sharpened": sharpened})


def _finite(number: object, name: str) -> float:
    try:
        value = float(number)  # type: ignore[arg-type]  # anything that float() takes, numpy scalars included
    except (TypeError, ValueError):
        value = math.nan
    if isinstance(number, (str, bool)) or not math.isfinite(value):
        raise DataError(f"The {name} of an annotation must be a finite number; got {number!r}.")
    return value


class Annotations:
    """An ordered, unchangeable collection of annotations, at most one a class and phrase.

    Parameters
    ----------
    annotations
        Taken in order; a later one with the same class and phrase replaces the earlier, in its place.
    """

    def __init__(self, annotations: Iterable[Annotation] = ()) -> None:
        by_key: dict[tuple[str, str], Annotation] = {}
        for annotation in annotations:
            by_key[annotation.class_name, annotation.phrase] = annotation
        self._annotations = tuple(by_key.values())

    def __iter__(self) -> Iterator[Annotation]:
        return iter(self._annotations)

    def __len__(self) -> int:
        return len(self._annotations)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Annotations) and self._annotations == other._annotations

    def __hash__(self) -> int:
        return hash(self._annotations)

    def __repr__(self) -> str:
        return f"Annotations({list(self._annotations)!r})"

    def add(self, annotation: Annotation) -> Annotations:
        """Return the collection with this one added, or put in place of the one with its class and phrase."""
        return Annotations((*self._annotations, annotation))

    def remove(self, class_name: str, phrase: str) -> Annotations:
        """Return the collection without this class and phrase; raises DataError when it is not there."""
        kept = [one for one in self._annotations if (one.class_name, one.phrase) != (class_name, phrase)]
        if len(kept) == len(self._annotations):
            known = [one.phrase for one in self.of_class(class_name)]
            raise DataError(f"No annotation {phrase!r} on class {class_name!r}; this class has {known}.")
        return Annotations(kept)

    def of_class(self, class_name: str) -> Annotations:
        """Return the annotations of one class, in order."""
        return Annotations(one for one in self._annotations if one.class_name == class_name)

    def active(self) -> Annotations:
        """Return the annotations that are switched on, in order."""
        return Annotations(one for one in self._annotations if one.active)

    def best_per_class(self) -> Annotations:
        """Return one active annotation a class: the highest Error Score, and of equals the latest.

        One without a score ranks below every one that has a score. The paper retrains with these.
        """
        best: dict[str, Annotation] = {}
        for one in self.active():
            known = best.get(one.class_name)
            if known is None or _rank(one) >= _rank(known):
                best[one.class_name] = one
        return Annotations(best.values())

    def to_dict(self) -> dict[str, Any]:
        """Return what `save` writes, ready for JSON."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "annotations": [asdict(one) for one in self._annotations],
        }

    @classmethod
    def from_dict(cls, content: object) -> Annotations:
        """Read what `to_dict` wrote; raises SavedSessionError when it is anything else."""
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise SavedSessionError(
                f"These are not saved annotations: expected an object with format {FORMAT!r}."
            )
        if content.get("version") not in _READABLE:
            raise SavedSessionError(
                f"These annotations have version {content.get('version')!r}; this release reads up to "
                f"version {VERSION}. Install a newer clarify_widget.",
            )
        try:
            return cls(Annotation.from_dict(entry) for entry in content["annotations"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SavedSessionError(f"The saved annotations are damaged: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write the annotations as JSON; an older file is replaced only once the new one is whole."""
        target = Path(path)
        partial = target.with_name(target.name + ".partial")
        partial.write_text(json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.replace(target)

    @classmethod
    def load(cls, path: str | Path) -> Annotations:
        """Read what `save` wrote.

        Raises
        ------
        SavedSessionError
            When the file is missing, is not JSON, or holds something else.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise SavedSessionError(
                f"Cannot read annotations from {path}: {error.strerror or error}."
            ) from error
        except ValueError as error:
            raise SavedSessionError(f"{path} is not JSON: {error}.") from error
        return cls.from_dict(content)


def _rank(annotation: Annotation) -> float:
    return -1.0 if annotation.score is None else annotation.score
