"""What was decided of the images of a pool, in order: so it can be taken back, saved, and gone on with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clarify_widget.datasets.dataset import Split
    from clarify_widget.discovery.pool import Pool


@dataclass(frozen=True)
class Decision:
    """Images that were accepted or rejected together.

    Attributes
    ----------
    rows
        Of the pool.
    names
        Of the images; empty where a pool has rows only.
    class_name
        What they were accepted as; None where they were rejected.
    """

    rows: tuple[int, ...]
    names: tuple[str, ...]
    class_name: str | None

    def __str__(self) -> str:
        """Return what was done, for people."""
        images = "1 image" if len(self.rows) == 1 else f"{len(self.rows):,} images"
        return f"reject {images}" if self.class_name is None else f"accept {images} as {self.class_name}"


@dataclass(frozen=True, eq=False)
class Addition:
    """Images of a pool that were accepted, and added to the training set together.

    Attributes
    ----------
    pool
        The key of the pool.
    rows
        Of the pool, as it was when they were added.
    names
        Of the images; empty where a pool has rows only.
    images
        What joined the training set: labels and embeddings, and the images where the pool has them.
    """

    pool: str
    rows: tuple[int, ...]
    names: tuple[str, ...]
    images: Split

    def __str__(self) -> str:
        """Return what was done, for people."""
        return "Add 1 training image" if len(self.rows) == 1 else f"Add {len(self.rows):,} training images"


@dataclass(frozen=True)
class Review:
    """What was decided of one pool.

    Attributes
    ----------
    pool
        The key of the pool.
    decisions
        In the order in which they were made; of two on one image the later counts.
    added
        Rows that are in the training set already.
    """

    pool: str
    decisions: tuple[Decision, ...] = ()
    added: frozenset[int] = frozenset()

    @cached_property
    def accepted(self) -> Mapping[int, str]:
        """The class of every row that was accepted."""
        return {row: name for row, name in self._latest.items() if name is not None}

    @cached_property
    def rejected(self) -> frozenset[int]:
        """The rows that were rejected."""
        return frozenset(row for row, name in self._latest.items() if name is None)

    @cached_property
    def waiting(self) -> tuple[int, ...]:
        """The rows that were accepted and are not in the training set yet, ascending."""
        return tuple(sorted(self.accepted.keys() - self.added))

    @property
    def last(self) -> Decision | None:
        """What `undone` would take back; None where there is nothing, or its images were added since."""
        last = self.decisions[-1] if self.decisions else None
        return None if last is None or self.added.intersection(last.rows) else last

    def decided(self, decision: Decision) -> Review:
        """Return the review with one more decision."""
        return replace(self, decisions=(*self.decisions, decision))

    def undone(self) -> Review:
        """Return the review without its last decision."""
        return self if self.last is None else replace(self, decisions=self.decisions[:-1])

    def with_added(self, additions: Iterable[Addition]) -> Review:
        """Return the review where these additions of its pool, and no others, are in the training set."""
        ours = [addition for addition in additions if addition.pool == self.pool]
        # The rows of images may have moved since, in the decisions as well; their names have not.
        moved = {name: row for decision in self.decisions for row, name in _named(decision) if name}
        added = (moved.get(name, row) for addition in ours for row, name in _named(addition))
        return replace(self, added=frozenset(added))

    def fitted_to(self, pool: Pool) -> Review:
        """Return the review of the pool as it is now: images are found by name where their rows have moved.

        Images that the pool has no more are left out.
        """
        if all(_fits(decision, pool) for decision in self.decisions):
            return self
        rows_of = {} if pool.images is None else {pool.name_of(row): row for row in range(len(pool))}
        moved = {
            old: rows_of.get(name, old if not name and old < len(pool) else None)
            for decision in self.decisions
            for old, name in _named(decision)
        }
        decisions = (_moved(decision, moved) for decision in self.decisions)
        added = (moved[row] for row in self.added)
        return replace(
            self,
            decisions=tuple(decision for decision in decisions if decision.rows),
            added=frozenset(row for row in added if row is not None),
        )

    @cached_property
    def _latest(self) -> Mapping[int, str | None]:
        return {row: decision.class_name for decision in self.decisions for row in decision.rows}


def _named(images: Decision | Addition) -> Iterable[tuple[int, str]]:
    return zip(images.rows, images.names or [""] * len(images.rows), strict=True)


def _fits(decision: Decision, pool: Pool) -> bool:
    return all(
        row < len(pool) and (not name or pool.images is None or pool.name_of(row) == name)
        for row, name in _named(decision)
    )


def _moved(decision: Decision, moved: Mapping[int, int | None]) -> Decision:
    kept = [(moved[old], name) for old, name in _named(decision)]
    found = [(row, name) for row, name in kept if row is not None]
    names = tuple(name for _, name in found) if decision.names else ()
    return Decision(tuple(row for row, _ in found), names, decision.class_name)
