"""The methods that the papers compare: from prompts alone to true groups, each a function over arrays.

`METHODS` are the rows of the league; `run_league` runs them on a `Problem`. Each method is also a function of
its own in the module that is named after it.
"""

from clarify_widget.methods import words
from clarify_widget.methods.league import Estimate, League, LeagueRow, judge, resampled, run_league
from clarify_widget.methods.problem import Problem, Words
from clarify_widget.methods.table import METHODS, Method, method_named

__all__ = [
    "METHODS",
    "Estimate",
    "League",
    "LeagueRow",
    "Method",
    "Problem",
    "Words",
    "judge",
    "method_named",
    "resampled",
    "run_league",
    "words",
]
