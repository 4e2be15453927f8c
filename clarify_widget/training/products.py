"""Matrix products and factors by the call that is quickest for their shape.

On the CPU a product with very few columns takes longer than one with each column, and numpy's is quicker than
torch's; torch has no product of a matrix with its own transpose, which is half the work of a full one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

FEW_COLUMNS = 6
COARSE = 2.0**-8  # relative rounding of bfloat16
STRIPES = 4  # of a coarse product's columns: each leaves out what is above the diagonal


def times(matrix: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Return matrix @ columns."""
    import torch

    count = columns.shape[1]
    if count > FEW_COLUMNS or matrix.device.type != "cpu":
        return matrix @ columns
    if count == 1:
        return torch.from_numpy(matrix.numpy() @ columns.numpy())
    each = [torch.from_numpy(matrix.numpy() @ column.numpy()) for column in columns.T.contiguous()]
    return torch.stack(each, dim=1)


def add_squares(products: torch.Tensor, rows: torch.Tensor) -> None:
    """Add rows^T rows to the lower triangle of a matrix, which is all that its Cholesky factor reads."""
    if products.device.type != "cpu":
        products.addmm_(rows.T, rows)
        return
    from scipy.linalg.blas import dsyrk, ssyrk

    syrk = ssyrk if rows.element_size() == 4 else dsyrk
    # BLAS counts columns first: the upper triangle of its transpose is our lower one, in the same place.
    lower = products.numpy().T
    if rows.is_contiguous():
        syrk(1.0, rows.numpy().T, beta=1.0, c=lower, overwrite_c=True)
    else:
        syrk(1.0, rows.numpy(), beta=1.0, c=lower, overwrite_c=True, trans=1)


def coarse_is_quick(like: torch.Tensor) -> bool:
    """Return whether `add_coarse_squares` saves time where a tensor is: not where bfloat16 is emulated."""
    import torch

    if like.device.type != "cpu" or like.dtype != torch.float32:
        return False
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older releases do not say
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def add_coarse_squares(products: torch.Tensor, rows: torch.Tensor) -> None:
    """Do what `add_squares` does with factors and products rounded to bfloat16, in a third of the time."""
    import torch

    rounded = rows.to(torch.bfloat16)
    width = rows.shape[1]
    size = -(-width // STRIPES)
    for first in range(0, width, size):
        part = slice(first, first + size)
        products[first:, part] += rounded[:, first:].T @ rounded[:, part]


def cholesky(matrix: torch.Tensor) -> tuple[torch.Tensor, bool]:
    """Return the lower factor of a lower triangle, and whether there is none."""
    import torch

    if matrix.device.type != "cpu":
        factor, failed = torch.linalg.cholesky_ex(matrix)
        return factor, bool(failed)
    from scipy.linalg.lapack import dpotrf, spotrf  # a quarter quicker than torch's

    potrf = spotrf if matrix.element_size() == 4 else dpotrf
    upper, failed = potrf(matrix.numpy().T)
    return torch.from_numpy(upper.T), bool(failed)
