"""Matrix products by the calls that are quickest for their shape.

All of them are torch's: those of a second library have threads of their own, and the threads of either keep a
core busy while they wait for their next product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

FEW_COLUMNS = 6
COARSE = 2.0**-8  # relative rounding of bfloat16
STRIPES = 2  # of the columns of a square: each leaves out what is above the diagonal


def times(matrix: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Return matrix @ columns; on the CPU a few columns take longer than each by itself."""
    import torch

    if not 1 < columns.shape[1] <= FEW_COLUMNS or matrix.device.type != "cpu":
        return matrix @ columns
    return torch.stack([torch.mv(matrix, column) for column in columns.T.contiguous()], dim=1)


def add_squares(products: torch.Tensor, rows: torch.Tensor, *, coarse: bool = False) -> None:
    """Add rows^T rows to the lower triangle of a matrix, which is all that its Cholesky factor reads.

    Coarsely means with factors and products rounded to bfloat16.
    """
    import torch

    if coarse:
        rows = rows.to(torch.bfloat16)
    width = rows.shape[1]
    size = -(-width // STRIPES)
    for first in range(0, width, size):
        part = slice(first, first + size)
        products[first:, part].add_(rows[:, first:].T @ rows[:, part])


def coarse_is_quick(like: torch.Tensor) -> bool:
    """Return whether coarse squares save time where a tensor is: not where bfloat16 is emulated."""
    import torch

    if like.device.type != "cpu" or like.dtype != torch.float32:
        return False
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older releases do not say
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
