"""Gathering targeted data: search a pool by phrase, say what hits are, and train on them as well.

The other remedy of Lee et al., "Clarify" (UIST 2024), section 4.2, beside reweighting.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.arrays import stays_in_file, whole_numbers
from clarify_widget.datasets.images import ImageList, reduced_image
from clarify_widget.errors import DataError
from clarify_widget.session.phrases import embeddings_of
from clarify_widget.session.reviewing import Addition, Decision

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import PIL.Image

    from clarify_widget.arrays import FloatArray, IntArray
    from clarify_widget.datasets.dataset import ImageSequence, Split
    from clarify_widget.discovery.pool import Pool
    from clarify_widget.session.reviewing import Review
    from clarify_widget.session.session import Session


@dataclass(frozen=True)
class Hit:
    """One image of a pool.

    Attributes
    ----------
    row
        Of the pool.
    name
        What people call it.
    similarity
        With the phrase that was searched for.
    """

    row: int
    name: str
    similarity: float


@dataclass(frozen=True, repr=False)
class Hits:
    """What a search found, the most similar first."""

    phrase: str
    rows: tuple[Hit, ...]

    def __len__(self) -> int:
        """Return the number of hits."""
        return len(self.rows)

    def __str__(self) -> str:
        """Return the hits as text, one a line."""
        lines = [f"{hit.row:>9,}  {hit.similarity:.3f}  {hit.name}" for hit in self.rows]
        return "\n".join([f"{len(self.rows)} images for “{self.phrase}”", *lines])

    def __repr__(self) -> str:
        """Return how many there are instead of all of them."""
        return f"<Hits for “{self.phrase}”: {len(self.rows)} images>"

    def _repr_html_(self) -> str:
        """Return the hits as a notebook shows them."""
        from html import escape

        body = "".join(
            f"<tr><td>{hit.row}</td><td>{hit.similarity:.3f}</td>"
            f"<td style='text-align:left'>{escape(hit.name)}</td></tr>"
            for hit in self.rows
        )
        head = "<tr><th>row</th><th>similarity</th><th>image</th></tr>"
        table = f"<thead>{head}</thead><tbody>{body}</tbody>"
        return f"<table><caption>{escape(self.phrase)}</caption>{table}</table>"


class Gathering:
    """One pool under review; see `Session.pool`.

    What is decided is the session's: it is saved with it, and another `Session.pool` of the same images goes
    on with it.
    """

    def __init__(self, session: Session, pool: Pool) -> None:
        self._session = session
        self._fitted: tuple[Review, Review] | None = None  # as the session has it, and as the pool is now
        self._adding = threading.Lock()
        self.pool = pool

    @property
    def session(self) -> Session:
        """Whose training set is added to."""
        return self._session

    @property
    def review(self) -> Review:
        """What was decided so far."""
        return self._fit(self._session.review_of(self.pool.key))

    @property
    def accepted(self) -> dict[int, str]:
        """The class of every row that was accepted."""
        return dict(self.review.accepted)

    @property
    def rejected(self) -> frozenset[int]:
        """The rows that were rejected."""
        return self.review.rejected

    def __repr__(self) -> str:
        """Return pool and progress."""
        now = self.review
        counts = f"{len(now.accepted)} accepted, {len(now.rejected)} rejected, {len(now.added)} added"
        return f"<Gathering from {self.pool.name}: {counts}>"

    def search(self, phrase: str, k: int = 20, *, at_least: float = -1.0) -> Hits:
        """Find the images most similar to a phrase that were neither accepted nor rejected yet.

        Parameters
        ----------
        phrase
            Words, or the name of a phrase that was sharpened.
        k
            How many to return at most.
        at_least
            Only images of this similarity or more, such as the threshold of an annotation.

        Raises
        ------
        PhraseError
            As `Session.score`.
        DataError
            When the phrase is a combination, which has no direction, or k is not positive.
        """
        if k < 1:
            raise DataError(f"k must be at least 1; got {k}.")
        direction = np.asarray(self._session.direction(phrase), dtype=np.float32)
        reviewed = self.review.accepted.keys() | self.review.rejected
        rows, similar = self.pool.index.search(direction, k + len(reviewed))
        hits = (
            Hit(row, self.pool.name_of(row), similarity)
            for row, similarity in zip(rows.tolist(), similar.tolist(), strict=True)
            if row not in reviewed and similarity >= at_least
        )
        return Hits(phrase.strip(), tuple(hits)[:k])

    def image(self, row: int, *, least_side: int | None = None) -> PIL.Image.Image:
        """Open one image of the pool; `least_side` as in `Session.image`; DataError when it has none."""
        self._check([row])
        images = self.pool.images
        if images is None:
            raise DataError(f"{self.pool.name} has no images, only rows; pass images= to see them.")
        return images[row] if least_side is None else reduced_image(images, row, least_side)

    def image_name(self, row: int) -> str:
        """Return what people call an image; DataError when there is no such row."""
        self._check([row])
        return self.pool.name_of(row)

    def image_path(self, row: int) -> str | None:
        """Return the path of an image that is a file; None for one that is not."""
        path = getattr(self.pool.images, "path", None)
        return None if path is None else path(row)

    def accept(self, rows: Iterable[int], class_name: str) -> None:
        """Say that rows show a class; a row that was rejected, or of another class, is that no more.

        Raises
        ------
        UnknownClassError
            When the data set has no such class.
        DataError
            When the pool has no such row, or it was added to the training set already.
        """
        self._session.members(class_name)  # raises UnknownClassError
        self._decide(rows, class_name)

    def reject(self, rows: Iterable[int]) -> None:
        """Say that rows are not wanted, so that no search finds them again; DataError as `accept`."""
        self._decide(rows, None)

    def undo(self) -> str:
        """Take back what was accepted or rejected last, and say what that was; empty when there is nothing.

        What was added to the training set stays there until `Session.undo` takes that back.
        """
        last = self.review.last
        if last is None:
            return ""
        self._session.change_review(self.pool.key, lambda kept: self._fit(kept).undone())
        return str(last)

    def add(self) -> int:
        """Add what was accepted to the training set, and return how many images that were.

        That is a step, which `Session.undo` takes back.

        `retrain` trains on both from then on, and `save` saves both. The groups of the training images,
        where they were known, are known no more: nobody said those of the new ones.

        Raises
        ------
        DataError
            When features were given beside the embeddings, which the pool does not have, or the training
            rows are in a file that is too large for memory.
        """
        with self._adding:
            review = self.review
            rows = np.array(review.waiting, dtype=np.int64)
            if len(rows):
                images, names = self._as_split(rows, review), self._names(review.waiting)
                self._session.extend_training(Addition(review.pool, review.waiting, names, images))
        return len(rows)

    def _decide(self, rows: Iterable[int], class_name: str | None) -> None:
        chosen = tuple(dict.fromkeys(self._free(rows)))
        if chosen:
            decision = Decision(chosen, self._names(chosen), class_name)
            self._session.change_review(self.pool.key, lambda kept: self._fit(kept).decided(decision))

    def _names(self, rows: Iterable[int]) -> tuple[str, ...]:
        return () if self.pool.images is None else tuple(self.pool.name_of(row) for row in rows)

    def _fit(self, kept: Review) -> Review:
        if self._fitted is None or self._fitted[0] is not kept:
            self._fitted = (kept, kept.fitted_to(self.pool))
        return self._fitted[1]

    def _as_split(self, rows: IntArray, review: Review) -> Split:
        train = self._session.dataset.train
        names = self._session.class_names
        labels = np.array([names.index(review.accepted[row]) for row in rows.tolist()], dtype=np.int64)
        images = None if self.pool.images is None else self.pool.images.take(rows)
        embeddings = self.pool.index.rows(rows)
        return replace(
            train,
            labels=labels,
            images=images,
            groups=None,
            features=None,
            embeddings=embeddings,
            predictions=None,
            confidences=None,
            masks=None,
            unreadable=(),
        )

    def _free(self, rows: Iterable[int]) -> list[int]:
        chosen = whole_numbers(rows)
        self._check(chosen)
        added = sorted(self.review.added.intersection(chosen))
        if added:
            raise DataError(f"Row {added[0]} was added to the training set already.")
        return chosen

    def _check(self, rows: Iterable[int]) -> None:
        outside = [row for row in rows if not 0 <= row < len(self.pool)]
        if outside:
            raise DataError(f"{self.pool.name} has rows 0 to {len(self.pool) - 1}; got {outside[0]}.")


def with_more_training(train: Split, more: Sequence[Split]) -> Split:
    """Return the training set with more images after its own; see `Gathering.add` for the errors."""
    if train.features is not train.embeddings:
        raise DataError(
            "The head trains on features beside the embeddings, and the pool has only rows to compare "
            "phrases with; open a session without features= to train on what was gathered."
        )
    if stays_in_file(embeddings_of(train)):
        raise DataError(
            f"The {len(train):,} training rows are in a file that is too large to add to in memory; write "
            "the accepted rows to that file, with their labels, and open a new session."
        )
    rows: FloatArray = np.concatenate([embeddings_of(part) for part in (train, *more)])
    return replace(
        train,
        labels=np.concatenate([part.labels for part in (train, *more)]),
        images=_joined(train.images, more),
        groups=None,
        features=rows,
        embeddings=rows,
        predictions=None,
        confidences=None,
        masks=None,
    )


def _joined(own: ImageSequence | None, more: Sequence[Split]) -> ImageSequence | None:
    """Return the images of all, still unopened; None where those of the training set are not known."""
    if own is None:
        return None
    parts = [own]
    for split in more:
        if split.images is None:
            raise DataError(
                f"The training set has images, and the {len(split)} rows that were accepted have none; pass "
                "images= with the pool."
            )
        parts.append(split.images)
    return _joined_images(parts)


def _joined_images(parts: Sequence[ImageSequence]) -> ImageList:
    return ImageList(
        [_source(part, row) for part in parts for row in range(len(part))],
        [part.name(row) for part in parts for row in range(len(part))],
    )


def _source(images: ImageSequence, row: int) -> Any:
    path = images.path(row) if isinstance(images, ImageList) else None
    return path if path is not None else lambda: images[row]
