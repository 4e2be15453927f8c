"""What people say of the attributes that a model leans on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from clarify_widget.errors import DataError

Verdict = Literal["healthy", "spurious"]


@dataclass(frozen=True)
class Judgement:
    """Whether an attribute belongs to a class.

    Attributes
    ----------
    class_name, attribute
        What was judged.
    verdict
        "healthy" where it is part of the class, "spurious" where it only comes with it.
    threshold
        The similarity above which an image has it, where it is a phrase.

    Raises
    ------
    DataError
        When the verdict is another.

    Notes
    -----
    Yang et al. (ICML 2023), section 4.1: the decision that only a person can make.
    """

    class_name: str
    attribute: str
    verdict: Verdict
    threshold: float | None = None

    def __post_init__(self) -> None:
        """Check the verdict."""
        if self.verdict not in get_args(Verdict):
            raise DataError(f"An attribute is judged {' or '.join(get_args(Verdict))}; got {self.verdict!r}.")

    @property
    def about(self) -> tuple[str, str]:
        """The class and the attribute."""
        return self.class_name, self.attribute
