"""One head over rows that several processes hold, each some of them, as torchrun starts them.

Labels, slices and weights, a few bytes a row, are gathered once, so that every process checks and weighs all
images as one alone would. Features stay where they are: a pass over them ends in sums of losses and
gradients, and these are added up. Where to go next and when to stop is said by the first process only, so
rounding, which may differ between machines, cannot lead two processes to different decisions.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import numpy as np

from clarify_widget.arrays import to_array
from clarify_widget.errors import ClarifyError, DataError, ProcessError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt
    import torch
    from torch.distributed import ProcessGroup

    from clarify_widget.arrays import Float64Array

    Processes: TypeAlias = ProcessGroup | Literal["world"] | None

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Together:
    """The processes that train one head; each of them has to call the same methods in the same order.

    Attributes
    ----------
    group
        None where this process is alone: then nothing is sent, and everything is returned as it is.
    """

    group: ProcessGroup | None = None

    @classmethod
    def of(cls, process_group: Processes) -> Together:
        """Return the processes of a torch.distributed group, "world" for all there are, None for this one.

        Raises
        ------
        DataError
            When torch.distributed is not initialised, or this process is not in the group.
        """
        if process_group is None:
            return ALONE
        import torch.distributed as dist

        if not (dist.is_available() and dist.is_initialized()):
            raise DataError(
                f"process_group is {process_group!r}, and torch.distributed is not initialised; start the "
                "script with torchrun and call torch.distributed.init_process_group() first."
            )
        group = dist.group.WORLD if process_group == "world" else process_group
        if not isinstance(group, dist.ProcessGroup):
            raise DataError(
                'process_group must be "world" or a torch.distributed group with this process in it; '
                f"got {process_group!r}."
            )
        return cls(group) if group.size() > 1 else ALONE

    @property
    def first(self) -> bool:
        """Whether this process is the one that decides."""
        return self.group is None or self.group.rank() == 0

    def sum(self, *tensors: torch.Tensor) -> None:
        """Add up tensors of one type over the processes, in place."""
        if self.group is None:
            return
        import torch
        import torch.distributed as dist

        flat = torch.cat([tensor.reshape(-1) for tensor in tensors]).to(_device(self.group))
        with _connected():
            dist.all_reduce(flat, group=self.group)
        sums = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, summed in zip(tensors, sums, strict=True):
            tensor.copy_(summed.reshape(tensor.shape))

    def gather(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the rows (m, ...) of all processes as (n, ...), in the order of the processes."""
        if self.group is None:
            return rows
        counts = self.everyone(len(rows))
        start = sum(counts[: self.group.rank()])
        gathered = rows.new_zeros((sum(counts), *rows.shape[1:]))
        gathered[start : start + len(rows)] = rows
        self.sum(gathered)
        return gathered

    def total(self, count: int) -> int:
        """Return how many rows there are, of which `count` are of this process."""
        return sum(self.everyone(count))

    def part(self, count: int) -> slice:
        """Return which of all rows are the `count` of this process."""
        if self.group is None:
            return slice(0, count)
        start = sum(self.everyone(count)[: self.group.rank()])
        return slice(start, start + count)

    def everyone(self, thing: Answer) -> list[Answer]:
        """Return what each process gives: anything that can be pickled."""
        if self.group is None:
            return [thing]
        import torch.distributed as dist

        given: list[Any] = [None] * self.group.size()
        with _connected():
            dist.all_gather_object(given, thing, group=self.group)
        return given

    def of_first(self, make: Callable[[], Answer], device: str = "cpu") -> Answer:
        """Return what `make` gives in the first process, which alone runs it; tensors arrive on a device."""
        if self.group is None:
            return make()
        import torch

        if not self.first:
            sent = self._broadcast(None)
            if isinstance(sent, bytes):
                received: Answer = torch.load(io.BytesIO(sent), map_location=device, weights_only=False)
                return received
            kind, message = sent
            raise kind(message)
        try:
            answer = make()
            packed = _packed(answer)
        except Exception as error:
            kind, message = self._broadcast(_for_all(0, error))
            raise kind(message) from error
        self._broadcast(packed)
        return answer

    def _broadcast(self, sent: Any) -> Any:
        """Return what the first process sends."""
        import torch
        import torch.distributed as dist

        assert self.group is not None
        first, device = dist.get_global_rank(self.group, 0), torch.device(_device(self.group))
        packet = [sent]
        with _connected():
            dist.broadcast_object_list(packet, src=first, group=self.group, device=device)
        return packet[0]

    def decides(self, yes: bool) -> bool:
        """Return whether the first process says yes."""
        if self.group is None:
            return yes
        import torch

        said = torch.tensor([yes and self.first], dtype=torch.float64)
        self.sum(said)
        return bool(said)

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        """Raise in every process what goes wrong in one of them within; nothing is sent within."""
        if self.group is None:
            yield
            return
        import torch

        mine: Exception | None = None
        try:
            yield
        except Exception as error:  # noqa: BLE001  whatever it is, the others wait
            mine = error
        failed = torch.tensor([mine is not None], dtype=torch.float64)
        self.sum(failed)
        if failed:
            failures = self.everyone(None if mine is None else _for_all(self.group.rank(), mine))
            kind, message = next(failure for failure in failures if failure is not None)
            try:
                raise kind(message) from mine
            finally:
                del mine  # or it and this frame hold each other, and the group past its destruction

    def check_same(self, **settings: object) -> None:
        """Raise DataError in every process when one of them was given another setting than the first."""
        if self.group is None:
            return
        wanted, *others = self.everyone(settings)
        for rank, given in enumerate(others, start=1):
            for name, value in wanted.items():
                if given.get(name) != value:
                    raise DataError(
                        f"{name} is {value!r} in process 0 and {given.get(name)!r} in process {rank}; "
                        "give every process the same."
                    )


ALONE = Together()


def gather_columns(together: Together, rows: int, **columns: npt.ArrayLike | None) -> list[Any]:
    """Return columns of numbers (..., n) over all images, of columns (..., m) over the rows here.

    Raises
    ------
    DataError
        In every process, when a column of one does not fit its rows, is left out, or holds no numbers. One
        process alone gets its columns back unchecked.
    """
    import torch

    if together.group is None:
        return list(columns.values())
    together.check_same(
        **{name: "left out" if column is None else "given" for name, column in columns.items()}
    )
    with together.agreeing():
        checked = [_checked_column(name, column, rows) for name, column in columns.items()]
    return [
        None if column is None else together.gather(torch.from_numpy(column.T.copy())).numpy().T
        for column in checked
    ]


def _checked_column(name: str, column: npt.ArrayLike | None, rows: int) -> Float64Array | None:
    if column is None:
        return None
    array = to_array(column, name)
    if array.shape[-1:] != (rows,):
        raise DataError(f"{name} has shape {array.shape} for {rows} rows of features; give one entry a row.")
    if array.dtype.kind not in "iufb":
        raise DataError(f"{name} must be numbers, not {array.dtype}.")
    return array.astype(np.float64)


def _device(group: ProcessGroup) -> str:
    """Return where what is sent has to lie."""
    import torch.distributed as dist

    return "cuda" if dist.get_backend(group) == "nccl" else "cpu"


def _packed(answer: object) -> bytes:
    import torch

    file = io.BytesIO()
    torch.save(answer, file)
    return file.getvalue()


def _for_all(rank: int, error: Exception) -> tuple[type[ClarifyError], str]:
    """Return type and message of what every process raises for an error in one of them."""
    if isinstance(error, ClarifyError):
        return type(error), f"In process {rank}: {error}"
    return ProcessError, f"Process {rank} failed: {type(error).__name__}: {error}"


@contextmanager
def _connected() -> Iterator[None]:
    """Say what it means when a process does not answer."""
    try:
        yield
    except RuntimeError as error:
        raise ProcessError(
            "Another of the processes that train together ended or cannot be reached. Look for the first "
            "error among what they print, and start all of them again."
        ) from error
