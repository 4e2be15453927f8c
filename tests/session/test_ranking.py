from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from clarify_widget import Session
from clarify_widget.errors import PhraseError, ScoreError
from tests.session.planted import planted_dataset, planted_encoder


@pytest.fixture(scope="module")
def session():
    session = Session(planted_dataset(), planted_encoder())
    session.fit()
    return session


def test_phrases_are_ranked_by_error_score_and_only_meaningful_ones_pass_the_noise_line(session):
    ranking = session.rank("square", ["noise", "red", "crimson", "red "])
    scores = [row.scored.score for row in ranking.rows]
    assert scores == sorted(scores, reverse=True)
    assert {row.scored.phrase for row in ranking.rows[:2]} == {"red", "crimson"}
    assert [row.above_noise for row in ranking.rows] == [True, True, False]
    assert "3 meaningless phrases" in ranking.sentence


def test_scores_are_kolmogorov_smirnov_and_corrected_p_values_are_no_smaller(session):
    members = session.members("oval")
    for row in session.rank("oval", ["noise", "round", "red"]).rows:
        similar = session.similarities(row.scored.phrase)[members.indices]
        found = ks_2samp(similar[~members.correct], similar[members.correct])
        assert row.scored.score == pytest.approx(found.statistic)
        # 1,000 shuffles know a p-value to about three standard errors of a share.
        assert row.p_value >= found.pvalue - 3 * np.sqrt(found.pvalue / 1000)


def test_ranking_what_was_tried_leaves_the_history_as_it_is():
    session = Session(planted_dataset(), planted_encoder())
    session.fit()
    session.score("square", "red")
    session.score("square", "noise")
    before = session.history("square")
    assert {row.scored.phrase for row in session.rank("square").rows} == {"red", "noise"}
    session.rank("square", ["crimson"])
    assert session.history("square") == before


def test_the_noise_line_stands_between_what_passes_it_and_the_rest(session):
    lines = str(session.rank("square", ["noise", "red"])).splitlines()
    at = next(number for number, line in enumerate(lines) if "noise line" in line)
    assert lines[at - 1].startswith("red")
    assert lines[at + 1].startswith("noise ")


def test_the_same_seed_gives_the_same_p_values_and_html_escapes(session):
    first, again = (session.rank("square", ["noise", "red"], seed=3) for _ in range(2))
    assert [row.p_value for row in first.rows] == [row.p_value for row in again.rows]
    assert "<table>" in first._repr_html_()
    assert first.chance.seed == 3


def test_nothing_to_rank_is_one_clear_error(session):
    with pytest.raises(PhraseError, match="no phrases to rank"):
        Session.rank(session, "oval", [])
    perfect = Session(planted_dataset(), planted_encoder(), predictions=session.dataset.val.labels)
    perfect.fit()
    with pytest.raises(ScoreError, match="right on all"):
        perfect.rank("oval", ["red"])
