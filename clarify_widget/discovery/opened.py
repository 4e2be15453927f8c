"""Images opened a batch at a time, for models that look at each once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify_widget.errors import CancelledError, ImageReadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import PIL.Image

    from clarify_widget.datasets.dataset import ImageSequence


def opened_batches(
    images: ImageSequence,
    batch_size: int,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[tuple[list[int], list[PIL.Image.Image]]]:
    """Yield the rows, and the RGB images, of one batch after the other; without those that cannot be read.

    Parameters
    ----------
    images
        n images.
    batch_size
        How many are opened together.
    progress
        Called with (images done, n) once a batch has been worked on.
    cancelled
        Asked before each batch.

    Raises
    ------
    CancelledError
        When `cancelled` said so.
    """
    for start in range(0, len(images), batch_size):
        if cancelled is not None and cancelled():
            raise CancelledError(f"Cancelled after {start:,} of {len(images):,} images.")
        done = min(start + batch_size, len(images))
        opened = [(row, image) for row in range(start, done) if (image := _open(images, row)) is not None]
        yield [row for row, _ in opened], [image for _, image in opened]
        if progress is not None:
            progress(done, len(images))


def _open(images: ImageSequence, row: int) -> PIL.Image.Image | None:
    try:
        return images[row].convert("RGB")
    except ImageReadError:
        return None
