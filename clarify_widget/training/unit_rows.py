"""The part of a head's normalisation that no linear layer can hold."""

from __future__ import annotations

import torch


class UnitRows(torch.nn.Module):
    """Scales every row to unit length; rows of zeros stay. Takes any precision and gives one.

    Parameters
    ----------
    dtype
        What it gives; like that of a layer it follows `.float()` and `.double()`.
    """

    _precision: torch.Tensor

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("_precision", torch.empty(0, dtype=dtype), persistent=False)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return rows (n, d) of length one."""
        rows = rows.to(self._precision.dtype)
        lengths = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
        return rows / torch.where(lengths > 0, lengths, 1)
