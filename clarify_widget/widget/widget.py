"""ClarifyWidget: the loop of a Session as a notebook widget.

The page holds what it needs to draw a histogram and to drag a threshold without asking; everything else it
asks for with a request `{id, type, ...}` and gets exactly one answer `{id, ok, result}` or `{id, ok, error}`.
Small truths are traits, so that a reload, a second view and Python all see the same; images are answers, so
that they never end up in a saved notebook. No arithmetic happens here: Session computes, `presentation` puts
it into JSON.

Handlers run beside the cells of the user. One re-entrant lock, that of the Session, is around every change of
a trait, and whatever takes time runs on a thread of its own.
"""

from __future__ import annotations

import html
import logging
import math
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from clarify_widget import front_end
from clarify_widget.background import Lane, Restartable
from clarify_widget.discovery.discrepancy import Discrepancies
from clarify_widget.errors import ClarifyError, DataError, MissingDependencyError, PhraseError
from clarify_widget.session import presentation
from clarify_widget.session.gathering import Gathering
from clarify_widget.session.glance import glance_json
from clarify_widget.session.session import Session
from clarify_widget.widget.attributes import AttributesPanel
from clarify_widget.widget.examples import ExampleFeed
from clarify_widget.widget.finetuning import IDLE, FinetuningTask
from clarify_widget.widget.images import Images
from clarify_widget.widget.marks import Marks
from clarify_widget.widget.pool import PoolPanel
from clarify_widget.widget.requests import Request
from clarify_widget.widget.retraining import READY, Retraining
from clarify_widget.widget.runs import ProgressT, ResultT, Runs
from clarify_widget.widget.traits import Rows, Threshold, close_to, one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    import pandas as pd

    from clarify_widget.concepts import Annotation
    from clarify_widget.finetuning import Losses, Settings
    from clarify_widget.session.curve import RetrainProgress
    from clarify_widget.session.finetuning import Finetuning
    from clarify_widget.session.presentation import Json
    from clarify_widget.session.results import Comparison, PhraseScore
    from clarify_widget.session.session import Event
    from clarify_widget.widget.requests import Answer, Handler
    from clarify_widget.widget.runs import Run, Task

logger = logging.getLogger(__name__)

_ASSIGNABLE = frozenset({"class_name", "phrase", "threshold", "objective", "theme", "selected"})
_THEMES = ("auto", "light", "dark")
_SECONDS_TO_PAINT = 0.1  # in which nothing else is begun: the page has the answer to show
_HEAD_START = 0.03  # seconds for an answer before this thread goes on, as taking turns would make it late
_BAR = "{desc} {percentage:3.0f}% |{bar:30}| {remaining} left"
_MOST_MARKS = 10_000


class ClarifyWidget(anywidget.AnyWidget):
    """See what a classifier gets wrong, say it in words, and retrain.

    Parameters
    ----------
    session
        What is looked at; it is fitted first if it was not.
    theme
        "auto" follows the notebook; "light" or "dark" overrides it.
    objective
        What retraining minimises; see `train_head`.
    pool
        Unlabelled images to search for more training data; see `review_pool`.
    attributes
        Those that the model leans on, to judge them; see `review_attributes`.

    Attributes
    ----------
    class_name, phrase, threshold
        What is shown. Assigning to them scores the phrase and moves the threshold, as typing and dragging do.
    attributes
        What was tested by `review_attributes`, and what people judged.
    pool
        What was searched for in the pool under review, and how many images were accepted and rejected.
    saved
        Where `Session.autosave` keeps the session, when it was last saved there, and why not since; or None.
    finetuning, finetuning_result
        Where a fine-tuning stands, and what the last one changed; see `finetuned` for what came of it.
    finetuned
        The `Finetuning` that ended last, with the fine-tuned encoder and a session to go on with:
        `ClarifyWidget(w.finetuned.session)`. None before that.
    selected
        Validation rows of the images that are selected, ascending; choosing another class empties it.
        Assigning to it selects; see `selected_frame` for what is known of them.

    Raises
    ------
    TypeError
        When `session` is not a Session, or for an argument that does not exist.
    traitlets.TraitError
        When a trait is given a value that it cannot have.
    """

    _esm = front_end.packed_module()
    _css = front_end.styles()

    dataset_name = traitlets.Unicode(read_only=True).tag(sync=True)
    encoder_name = traitlets.Unicode(read_only=True).tag(sync=True)
    classes = traitlets.List(traitlets.Dict(), read_only=True).tag(sync=True)
    class_name = traitlets.Unicode().tag(sync=True)
    phrase = traitlets.Unicode().tag(sync=True)
    threshold = Threshold(None).tag(sync=True)
    objective = traitlets.Unicode("slice_balanced").tag(sync=True)
    objectives = traitlets.List(traitlets.Dict(), read_only=True).tag(sync=True)
    theme = traitlets.Unicode("auto").tag(sync=True)
    examples_key = traitlets.Unicode(read_only=True).tag(sync=True)
    glance = traitlets.Dict(default_value=None, allow_none=True, read_only=True).tag(sync=True)
    selected = Rows().tag(sync=True)
    sides = traitlets.Dict(default_value=None, allow_none=True, read_only=True).tag(sync=True)
    score = traitlets.Dict(default_value=None, allow_none=True, read_only=True).tag(sync=True)
    history = traitlets.List(traitlets.Dict(), read_only=True).tag(sync=True)
    annotations = traitlets.List(traitlets.Dict(), read_only=True).tag(sync=True)
    status = traitlets.Dict(default_value={**READY, "state": "loading"}, read_only=True).tag(sync=True)
    comparison = traitlets.Dict(default_value=None, allow_none=True, read_only=True).tag(sync=True)
    error = traitlets.Dict(default_value=None, allow_none=True, read_only=True).tag(sync=True)
    notes = traitlets.List(traitlets.Unicode(), read_only=True).tag(sync=True)
    suggestions = traitlets.Dict(read_only=True).tag(sync=True)
    marks = traitlets.Dict(read_only=True).tag(sync=True)
    can_undo = traitlets.Unicode(read_only=True).tag(sync=True)
    saved = traitlets.Dict(default_value=None, allow_none=True, read_only=True).tag(sync=True)
    can_redo = traitlets.Unicode(read_only=True).tag(sync=True)
    models = traitlets.List(traitlets.Dict(), read_only=True).tag(sync=True)
    attributes = traitlets.Dict(default_value=None, allow_none=True, read_only=True).tag(sync=True)
    pool = traitlets.Dict(default_value=None, allow_none=True, read_only=True).tag(sync=True)
    finetuning = traitlets.Dict(default_value=IDLE, read_only=True).tag(sync=True)
    finetuning_result = traitlets.Dict(default_value=None, allow_none=True, read_only=True).tag(sync=True)

    _unsubscribe: Callable[[], None] | None = None

    def __init__(
        self,
        session: Session,
        *,
        theme: str = "auto",
        objective: str = "slice_balanced",
        pool: Gathering | None = None,
        attributes: Discrepancies | None = None,
        **unknown: Any,
    ) -> None:
        # What `close` needs, which Python also calls on a widget that could not be made.
        self._previews = Restartable("clarify-widget previews", rest=_SECONDS_TO_PAINT)
        self._runs = Runs(session, ended=self._preview)
        _reject(unknown)
        if not isinstance(session, Session):
            raise TypeError(
                f"ClarifyWidget shows a Session; got {type(session).__name__}. "
                "Make one first: cw.ClarifyWidget(cw.Session(dataset)).",
            )
        self.session = session
        self.finetuned: Finetuning | None = None
        self._publishing = False
        self._examples = ExampleFeed(session)
        self._assigned: Json | None = None
        self._dragged: dict[tuple[str, str], float] = {}
        self._suggestions_asked: set[str] = set()
        self._marks = Marks(session)
        self._images = Images(session)
        self._pool_panel: PoolPanel | None = None
        self._attributes_panel: AttributesPanel | None = None
        self._scoring_threads: set[int] = set()
        self._view_lane = Lane("clarify-widget view")
        self._image_lane = Lane("clarify-widget images")
        self._comparing_lane = Lane("clarify-widget comparing")
        self._pool_lane = Lane("clarify-widget pool")
        super().__init__()
        try:
            self._open(theme, objective)
            if pool is not None:
                self.review_pool(pool)
            if attributes is not None:
                self.review_attributes(attributes)
        except BaseException:
            self.close()
            raise

    def _open(self, theme: str, objective: str) -> None:
        if not self.session.fitted:
            self._fit()
        self._publish(
            dataset_name=self.session.dataset.name,
            encoder_name=self.session.encoder.name,
            status=READY,
            saved=presentation.saved_json(self.session.saved),
            **presentation.facts(self.session),
            **self._view_of(self.session.classes()[0].name, None),
        )
        self._show_finetuning(IDLE)
        self.theme = theme
        self.objective = objective
        self.on_msg(self._on_request)
        self._unsubscribe = self.session.subscribe(self._on_session_event)
        _when_closed(self.comm, self._be_forgotten)
        self._preview()

    def _ipython_display_(self, **_options: Any) -> None:
        """Show the widget, and below it a note that our style sheet hides wherever the widget can be seen.

        The note is what a saved notebook and its HTML export show instead of nothing.
        """
        from IPython.display import display

        bundle = self._repr_mimebundle_()
        assert bundle is not None, "a ClarifyWidget always has a view"
        data, metadata = bundle
        lines = presentation.without_page(self.session)
        paragraphs = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
        note = {"text/plain": "\n".join(lines), "text/html": f'<div class="cw-no-page">{paragraphs}</div>'}
        display(data, metadata=metadata, raw=True)
        display(note, raw=True)

    # -- the verbs of the loop, on what is shown

    def keep(
        self,
        class_name: str | None = None,
        phrase: str | None = None,
        threshold: float | None = None,
    ) -> Annotation:
        """Keep a phrase; without arguments, the one that is shown, at its threshold.

        Raises
        ------
        PhraseError
            When nothing is named and nothing is shown.
        """
        class_name = self.class_name if class_name is None else class_name
        phrase = self.phrase if phrase is None else phrase
        if not phrase.strip():
            raise PhraseError("There is no phrase to keep yet; type one first, for example w.phrase = 'red'.")
        if threshold is None and (class_name, phrase) == (self.class_name, self.phrase):
            threshold = self.threshold
        return self.session.annotate(class_name, phrase, threshold)

    def remove(self, class_name: str | None = None, phrase: str | None = None) -> None:
        """Take back a phrase that was kept; without arguments, the one that is shown."""
        self.session.remove(
            self.class_name if class_name is None else class_name,
            self.phrase if phrase is None else phrase,
        )

    def undo(self) -> str:
        """Take back the last step, and return what it was; empty when there is none; see `Session.undo`.

        Raises
        ------
        ClarifyError
            While something is trained, when the step added training images.
        """
        if self.session.steps.last_changed_training:
            self._require_idle("undo")
        return self.session.undo()

    def redo(self) -> str:
        """Do again what was taken back last, and return what it was; empty when there is nothing.

        Raises
        ------
        ClarifyError
            As `undo`.
        """
        if self.session.steps.next_changes_training:
            self._require_idle("redo")
        return self.session.redo()

    def retrain(self, objective: str | None = None, *, wait: bool = False) -> Comparison | None:
        """Retrain with what was kept, beside the cells; progress is in `status`, the end in `comparison`.

        Parameters
        ----------
        objective
            What is minimised; None takes the trait of that name.
        wait
            Train in this thread instead, and return the comparison.

        Raises
        ------
        ClarifyError
            While the encoder is fine-tuned.
        NotFittedError, EmptySliceError
            With `wait`; without it they are shown in the widget.
        """
        run = self._begin_retraining(objective)
        if wait:
            return self._runs.do(run)
        self._runs.do_beside(run, self._show_error)
        return None

    def finetune(
        self, objective: Losses | None = None, settings: Settings | None = None, *, wait: bool = False
    ) -> Finetuning | None:
        """Fine-tune the encoder with what was kept, beside the cells; see `Session.finetune`.

        Progress is in `finetuning`; the end in `finetuning_result`, and as Python has it in `finetuned`. This
        widget and its session stay as they are.

        Parameters
        ----------
        objective, settings
            As `Session.finetune` takes them.
        wait
            Fine-tune in this thread instead, and return what came of it.

        Raises
        ------
        ClarifyError
            While the last layer is retrained.
        NotFittedError, EncoderError, DataError, EmptySliceError, CancelledError
            As `Session.finetune`, with `wait`; without it they are shown in the widget.
        """
        run = self._begin_finetuning(objective, settings)
        if wait:
            return self._runs.do(run)
        self._runs.do_beside(run, self._show_finetuning_error)
        return None

    def review_pool(self, pool: Gathering) -> None:
        """Show a pool below the loop, to search it by phrase and to accept or reject what is found.

        Parameters
        ----------
        pool
            From `Session.pool`; it takes the place of the one that was shown.

        Raises
        ------
        TypeError
            When it is none.
        DataError
            When it is one of another session.
        """
        if not isinstance(pool, Gathering):
            raise TypeError(
                f"review_pool shows what Session.pool returns; got {type(pool).__name__}. "
                "Open it first: w.review_pool(session.pool('unlabelled'))."
            )
        if pool.session is not self.session:
            raise DataError("The pool is one of another session; open it with that of the widget.")
        with self.session.lock:
            self._pool_panel = PoolPanel(pool, self._images.name_pool(pool), self._require_idle)
            self._show_pool()

    def review_attributes(self, found: Discrepancies) -> None:
        """Show below the loop which attributes the model leans on, to judge them healthy or spurious.

        Parameters
        ----------
        found
            From `Session.attributes`; it takes the place of what was shown.

        Raises
        ------
        TypeError
            When it is something else.
        DataError
            When it is of other classes.
        """
        if not isinstance(found, Discrepancies):
            raise TypeError(
                f"review_attributes shows what Session.attributes returns; got {type(found).__name__}. "
                "Find them first: w.review_attributes(session.attributes())."
            )
        if found.class_names != self.session.class_names:
            raise DataError("The attributes are of other classes; find those of the session of the widget.")
        with self.session.lock:
            shown = self._attributes_panel
            number = 1 if shown is None else shown.number + 1
            self._attributes_panel = AttributesPanel(self.session, found, number)
            self._show_attributes()

    def cancel(self) -> None:
        """Stop retraining or fine-tuning, if either runs; all stays as it was."""
        with self.session.lock:
            self._runs.cancel()
            if self.status["state"] == "retraining":
                self._publish(status={**self.status, "message": presentation.STOPPING})
            if self.finetuning["state"] == "running":
                self._publish(finetuning={**self.finetuning, "message": presentation.STOPPING})

    def close(self) -> None:
        """Stop what runs, let go of the session and remove every view."""
        self._runs.cancel()
        self._be_forgotten()

    def _be_forgotten(self) -> None:
        """Let go of the session and of the host; what runs goes on."""
        unsubscribe, self._unsubscribe = self._unsubscribe, None
        self._previews.stop()
        if unsubscribe is not None:
            unsubscribe()
        super().close()

    # -- retraining and fine-tuning

    def _begin_retraining(self, objective: str | None) -> Run[RetrainProgress, Comparison]:
        with self.session.lock:
            if objective is not None:
                self.objective = objective
            return self._begin(
                Retraining(self.session, self.objective, lambda status: self._publish(status=status))
            )

    def _begin_finetuning(self, objective: Losses | None, settings: Settings | None) -> Run[Json, Finetuning]:
        def done(finetuned: Finetuning) -> None:
            self.finetuned = finetuned
            self._publish(finetuning_result=presentation.finetuning_json(finetuned))

        with self.session.lock:
            return self._begin(FinetuningTask(self.session, objective, settings, self._show_finetuning, done))

    def _require_idle(self, to: str) -> None:
        """Raise ClarifyError while the training set must stay as it is."""
        if self._runs.busy:
            raise ClarifyError(
                f"The session retrains or fine-tunes; wait until it has ended, or cancel it, then {to}."
            )

    def _begin(self, task: Task[ProgressT, ResultT]) -> Run[ProgressT, ResultT]:
        with self.hold_sync():
            run = self._runs.begin(task)
            self._previews.stop()
            self._publish(error=None)
            return run

    def _show_finetuning(self, finetuning: Json) -> None:
        self._publish(finetuning={**finetuning, "unavailable": self.session.finetuning_off})

    def _show_finetuning_error(self, error: Exception) -> None:
        """Show an error at the top, as all are, and where fine-tuning was asked for."""
        shown = self._show_error(error)
        self._publish(finetuning={**self.finetuning, "error": shown["message"]})

    def _fit(self) -> None:
        """Fit the session; when that takes more than a second, a bar below the cell shows how far it is."""
        from tqdm import tqdm

        with tqdm(total=1.0, leave=False, delay=1, file=sys.stdout, bar_format=_BAR) as bar:

            def show(message: str, fraction: float) -> None:
                bar.set_description_str(message, refresh=False)
                bar.update(fraction - bar.n)
                self._publish(status={**READY, "state": "loading", "message": message, "fraction": fraction})

            self.session.fit(show)

    # -- what is worked out unasked

    def _preview(self) -> None:
        """Begin to say what the threshold does, which phrases to try, and what retraining would give."""
        self._previews.stop()
        with self.session.lock:
            if self._unsubscribe is not None and not self._runs.busy:
                self._previews.begin(self._look_ahead)

    def _look_ahead(self, cancelled: Callable[[], bool]) -> None:
        self._show_sides()
        for look in (self._suggest, self._compare_tried, self._expect):
            if not cancelled():
                self._try_to(look, cancelled)

    def _try_to(self, look: Callable[[Callable[[], bool]], None], cancelled: Callable[[], bool]) -> None:
        try:
            look(cancelled)
        except ClarifyError as error:
            logger.debug("Nothing to show ahead for %s: %s", self.class_name, error)
        except Exception:  # nobody asked for it, so nobody is shown an error
            logger.exception("Looking ahead for %s failed", self.class_name)

    def _suggest(self, cancelled: Callable[[], bool]) -> None:
        """Find phrases for the class that is shown; the session says when they are found."""
        class_name = self.class_name
        if self._suggestions_for(class_name)["state"] == "pending":
            self.session.suggest(class_name, cancelled=cancelled)

    def _compare_tried(self, cancelled: Callable[[], bool]) -> None:
        """Say how right the model is with and without each phrase of a history that was loaded."""
        with self.session.lock:
            class_name, thresholds = self.class_name, self._thresholds()
            missing = {row["phrase"] for row in self.history if row["accuracies"] is None}
        for tried in self.session.history(class_name):
            if tried.phrase in missing and not cancelled():
                threshold = self.session.threshold_of(tried, thresholds)
                self.session.accuracies(class_name, tried.phrase, threshold)
        if missing and not cancelled():
            with self.session.lock:
                self._publish_history()

    def _show_sides(self) -> None:
        with self.session.lock:
            class_name, phrase, threshold = self.class_name, self.phrase, self.threshold
        if not phrase:
            return
        try:
            sides = presentation.sides_json(self.session.sides(class_name, phrase, threshold))
        except Exception:  # nobody asked for it, so nobody is shown an error
            logger.exception("The sides of “%s” cannot be counted", phrase)
            return
        with self.session.lock:
            if (class_name, phrase, threshold) == (self.class_name, self.phrase, self.threshold):
                self._publish(sides=sides)

    def _expect(self, cancelled: Callable[[], bool]) -> None:
        """Say what retraining with each phrase would give, for the phrase that is shown first."""
        if self.session.previews_off:
            return
        with self.session.lock:
            class_name, shown, thresholds = self.class_name, self.phrase, self._thresholds()
        if shown:
            self.session.expected(class_name, [shown], cancelled, thresholds=thresholds)
        self.session.expected(class_name, None, cancelled, thresholds=thresholds)

    def _suggestions_for(self, class_name: str) -> Json:
        asked = class_name in self._suggestions_asked
        return presentation.suggestions(self.session, class_name, asked=asked)

    def _thresholds(self) -> dict[str, float]:
        """Return the thresholds that people put where they are, by phrase of the class that is shown."""
        dragged = {
            phrase: where for (name, phrase), where in self._dragged.items() if name == self.class_name
        }
        return dragged if self.threshold is None else {**dragged, self.phrase: self.threshold}

    # -- images that are selected

    def selected_frame(self) -> pd.DataFrame:
        """Return the selected images as a DataFrame; see `Session.table` for its columns.

        `similarity` is that to the phrase that is shown.

        Raises
        ------
        MissingDependencyError
            When pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingDependencyError(
                "selected_frame makes a pandas DataFrame; install pandas, or take "
                "w.session.table(w.selected), which needs nothing."
            ) from error
        with self.session.lock:
            return pd.DataFrame(self.session.table(self.selected, phrase=self.phrase))

    # -- images that have a phrase, and that have it not

    def mark(self, indices: Iterable[int], *, has: bool | None, phrase: str | None = None) -> None:
        """Mark validation images as having a phrase or not; `sharpen` learns from the marks.

        Parameters
        ----------
        indices
            Rows of the validation split.
        has
            Whether they have it; None takes their marks away.
        phrase
            None means the one that is shown. The marks of a sharpened phrase are those of its words.

        Raises
        ------
        PhraseError
            When nothing is named and nothing is shown.
        DataError
            When there is no such image, or the phrase is a combination.
        """
        phrase = self.phrase if phrase is None else phrase
        if not phrase.strip():
            raise PhraseError("There is no phrase to mark images for yet; type one first.")
        rows = self.session.check_rows(indices)
        self.session.direction(phrase)
        with self.session.lock:
            self._marks.mark(phrase, rows, has=has)
            self._publish(marks=self._marks.rows_of(self.phrase))

    def sharpen(self) -> PhraseScore:
        """Sharpen the phrase that is shown by the images marked for it, and show what came of it.

        Raises
        ------
        DataError
            When no image is marked.
        """
        with self.session.lock:
            class_name, phrase = self.class_name, self.phrase
        scored = self._sharpen(class_name, phrase)
        self._publish(**self._view_of(class_name, scored), error=None)
        return scored

    def _sharpen(self, class_name: str, phrase: str) -> PhraseScore:
        marks = self._marks.rows_of(phrase)
        with self._own_score():
            return self.session.sharpen(class_name, self._marks.words_of(phrase), **marks)

    # -- what is shown

    def _score(self, class_name: str, phrase: str, instead_of: Collection[str] = ()) -> PhraseScore | None:
        """Score a phrase that is to be shown; nothing changes when that fails."""
        if not phrase:
            return None
        with self._own_score():
            return self.session.score(class_name, phrase, instead_of=instead_of)

    def _view_of(self, class_name: str, scored: PhraseScore | None) -> Json:
        dragged = {phrase: where for (name, phrase), where in self._dragged.items() if name == class_name}
        return self._class_view(class_name, scored, dragged)

    def _class_view(
        self, class_name: str, scored: PhraseScore | None, thresholds: Mapping[str, float] | None = None
    ) -> Json:
        view = presentation.class_view(self.session, class_name, scored, thresholds)
        return {
            **view,
            "glance": None if scored is None else self._glance_at(scored, view["threshold"]),
            "suggestions": self._suggestions_for(class_name),
            "marks": self._marks.rows_of("" if scored is None else scored.phrase),
        }

    def _glance_at(self, scored: PhraseScore, threshold: float) -> Json:
        similar = self.session.similarities_of_class(scored.class_name, scored.phrase)
        return glance_json(similar, self.session.members(scored.class_name).correct, threshold)

    @contextmanager
    def _own_score(self) -> Iterator[None]:
        """Show the score and all that follows in one message, not the history in one of its own first."""
        thread = threading.get_ident()
        self._scoring_threads.add(thread)
        try:
            yield
        finally:
            self._scoring_threads.discard(thread)

    def _on_session_event(self, event: Event) -> None:
        if event == "scored" and threading.get_ident() in self._scoring_threads:
            return
        try:
            with self.session.lock:
                if event == "expected":
                    self._publish_history()
                    return
                if event == "saved":
                    self._publish(saved=presentation.saved_json(self.session.saved))
                    return
                if event == "reviewed":
                    self._publish(can_redo=self.session.redoable)
                    self._show_pool()
                    return
                if event == "judged":
                    self._publish(**presentation.facts(self.session))
                    self._show_attributes()
                    return
                if event == "suggested":
                    self._publish(suggestions=self._suggestions_for(self.class_name))
                    return
                shown = self._view_again(rescore=event == "fitted")
                self._publish(**presentation.facts(self.session), **shown)
                self._leave_objective()
                self._show_pool()
                self._show_attributes()
                self._preview()
        except Exception:  # whoever called the session must not fail because a widget could not repaint
            logger.exception("A widget could not show that its session was %s", event)

    def _view_again(self, *, rescore: bool) -> Json:
        """Return what is shown now, as the session sees it after a change from somewhere else."""
        scored = presentation.tried_phrase(self.session, self.class_name, self.phrase)
        if scored is not None and rescore:
            scored = self._score_again(scored)
        thresholds = self._thresholds()
        if scored is None:
            return self._class_view(self.class_name, None, thresholds)
        kept = presentation.kept_threshold(self.session.annotations, self.class_name, self.phrase)
        if kept is not None and kept != self._kept_threshold_shown():
            self._dragged[self.class_name, self.phrase] = thresholds[self.phrase] = kept
        return self._class_view(self.class_name, scored, thresholds)

    def _show_pool(self) -> None:
        if self._pool_panel is not None:
            self._publish(pool=self._pool_panel.as_json())

    def _show_attributes(self) -> None:
        if self._attributes_panel is not None:
            self._publish(attributes=self._attributes_panel.as_json())

    def _leave_objective(self) -> None:
        """Gathered images have no groups: an objective over those is offered no more."""
        if self.objective not in [choice["value"] for choice in self.objectives]:
            self._publish(objective=self.objectives[0]["value"])

    def _publish_history(self) -> None:
        self._publish(history=presentation.history(self.session, self.class_name, self._thresholds()))

    def _score_again(self, scored: PhraseScore) -> PhraseScore | None:
        with self._own_score():
            try:
                return self.session.score(scored.class_name, scored.phrase)
            except ClarifyError:
                return None

    def _kept_threshold_shown(self) -> float | None:
        for kept in self.annotations:
            if (kept["class_name"], kept["phrase"]) == (self.class_name, self.phrase):
                return float(kept["threshold"])
        return None

    def _publish(
        self, *, similarities: bytes | None = None, glance: Json | None = None, **values: Any
    ) -> None:
        """Write traits, together in one message; what did not change is not sent.

        Examples go in a message of their own, before it: a trait of that size would bloat saved notebooks.
        Where only the similarities are others, it brings what to show at a glance, and they come after it.
        """
        late = None
        with self.session.lock:
            with self.hold_sync():
                if similarities is not None:
                    named, late = self._take_examples(values["class_name"], similarities, glance)
                    values |= named
                before, self._publishing = self._publishing, True
                try:
                    for name, value in values.items():
                        self.set_trait(name, value)
                finally:
                    self._publishing = before
            if late is not None:
                self.send(*late)

    def _take_examples(
        self, class_name: str, similarities: bytes, glance: Json | None
    ) -> tuple[Json, tuple[Json, list[bytes]] | None]:
        """Send other examples; return the traits that name them, and the message if it is to follow those."""
        message = self._examples.take(class_name, similarities)
        key = {"examples_key": self._examples.key}
        if message is None:
            return key, None
        about, buffers = message
        if glance is not None and len(buffers) == 1:
            return {**key, "glance": {"key": about["key"], "members": about["members"], **glance}}, message
        self.send(*message)
        return {**key, "glance": None}, None

    def _show_error(self, error: Exception) -> Json:
        shown = _error_json(error)
        self._publish(error=shown)
        return shown

    # -- traits that people and pages assign

    @traitlets.validate("class_name")
    def _check_class_name(self, proposal: Json) -> str:
        if not self._publishing:
            self._assigned = self._view_of(proposal["value"], None)
        return str(proposal["value"])

    @traitlets.validate("phrase")
    def _check_phrase(self, proposal: Json) -> str:
        if self._publishing:
            return str(proposal["value"])
        self._assigned = self._view_of(self.class_name, self._score(self.class_name, proposal["value"]))
        return str(self._assigned["phrase"])

    @traitlets.validate("threshold")
    def _check_threshold(self, proposal: Json) -> float | None:
        value = proposal["value"]
        if self._publishing:
            return None if value is None else float(value)
        if not self.phrase:
            raise traitlets.TraitError("There is no phrase to put a threshold to; choose one first.")
        if value is None or not math.isfinite(value):
            raise traitlets.TraitError(f"threshold is a similarity between -1 and 1; got {value}.")
        return min(1.0, max(-1.0, float(value)))

    @traitlets.validate("objective")
    def _check_objective(self, proposal: Json) -> str:
        return one_of(proposal["value"], "objective", [choice["value"] for choice in self.objectives])

    @traitlets.validate("theme")
    def _check_theme(self, proposal: Json) -> str:
        return one_of(proposal["value"], "theme", _THEMES)

    @traitlets.observe("class_name", "phrase")
    def _show_assigned(self, _change: Json) -> None:
        if self._publishing or self._assigned is None:
            return
        view, self._assigned = self._assigned, None
        self._publish(**view, error=None)
        self._preview()

    @traitlets.observe("class_name")
    def _deselect(self, _change: Json) -> None:
        self._publish(selected=[])

    @traitlets.observe("threshold")
    def _remember_threshold(self, change: Json) -> None:
        if not self._publishing and change["new"] is not None:
            self._dragged[self.class_name, self.phrase] = change["new"]
            self._publish_history()
            self._preview()

    def __setattr__(self, name: str, value: Any) -> None:
        """Assign a trait while nobody else changes one, so that its validator and observer see one state."""
        if name in _ASSIGNABLE:
            with self.session.lock:
                super().__setattr__(name, value)
        else:
            super().__setattr__(name, value)

    def notify_change(self, change: Any) -> None:
        """Send a changed trait, and what its observers change, as one message."""
        with self.session.lock, self.hold_sync():
            super().notify_change(change)

    def set_state(self, sync_data: Json) -> None:
        """Take what a page wrote; what cannot be is shown as an error and the page gets the old value."""
        with self.session.lock:
            try:
                super().set_state(sync_data)
            except (traitlets.TraitError, ClarifyError) as error:
                self._show_error(error)
                self.send_state([name for name in sync_data if name in self.keys])

    # -- requests of a page

    def _send(self, msg: Json, buffers: list[bytes] | None = None) -> None:
        super()._send(msg, buffers)
        # ipykernel 7.4 hands a page's next message to the shell that published last on this comm, which may
        # be busy with a cell. When it does not remember one, the message goes to the shell the page chose.
        if self.comm is not None:
            self.comm.__dict__.pop("_reply_subshell_id", None)

    def _on_request(self, _widget: ClarifyWidget, content: Any, _buffers: Any) -> None:
        fields = content if isinstance(content, dict) else {}
        request = Request(str(fields.get("id", "")), str(fields.get("type", "")), fields)
        if request.type == "compare_phrases":
            # Two views may compare other phrases: each gets its answer.
            self._comparing_lane.submit(
                lambda: self._answer(request, self._answer_compare_phrases, quiet=True)
            )
        elif request.type in ("score", "select_class", "sharpen"):
            self._previews.stop()
            self._view_lane.submit_latest(
                lambda: self._answer(request, self._answer_show),
                drop=lambda: self._reply(request, {"stale": True}),
            )
            self._view_lane.wait(_HEAD_START)
        elif request.type == "pool_search":
            self._pool_lane.submit_latest(
                lambda: self._answer(request, self._answer_pool_search, quiet=True),
                drop=lambda: self._reply(request, {"stale": True}),
            )
        elif request.type in self._panel_handlers:
            self._answer(request, self._panel_handlers[request.type], quiet=True)
        elif request.type in self._image_handlers:
            handle = self._image_handlers[request.type]
            self._image_lane.submit(lambda: self._answer(request, handle, quiet=True))
        else:
            self._answer(request, self._handlers.get(request.type, _answer_unknown))

    @property
    def _handlers(self) -> dict[str, Handler]:
        return {
            "hello": self._answer_hello,
            "examples": self._answer_examples,
            "typing": self._answer_typing,
            "suggest": self._answer_suggest,
            "mark": self._answer_mark,
            "keep": self._answer_keep,
            "remove": self._answer_remove,
            "switch": self._answer_switch,
            "undo": self._answer_undo,
            "redo": self._answer_redo,
            "use_model": self._answer_use_model,
            "retrain": self._answer_retrain,
            "cancel": self._answer_cancel,
        }

    @property
    def _panel_handlers(self) -> dict[str, Handler]:
        """What panels ask for; each shows its errors itself."""
        handlers: dict[str, Handler] = {"panels": self._answer_panels, "finetune": self._answer_finetune}
        for panel in (self._pool_panel, self._attributes_panel):
            if panel is not None:
                handlers.update(panel.handlers)
        return handlers

    @property
    def _image_handlers(self) -> dict[str, Handler]:
        return {
            "thumbnails": self._images.answer_thumbnails,
            "original": self._images.answer_original,
            "explanation": self._images.answer_explanation,
        }

    def _answer(self, request: Request, handle: Handler, *, quiet: bool = False) -> None:
        """Answer a request with what its handler returns or raises; `quiet` leaves the error trait alone."""
        try:
            result, buffers = handle(request)
        except Exception as error:  # noqa: BLE001  # every request gets an answer
            shown = _error_json(error) if quiet else self._show_error(error)
            self.send({"id": request.id, "ok": False, "error": shown})
        else:
            self._reply(request, result, buffers)

    def _reply(self, request: Request, result: Json, buffers: list[bytes] | None = None) -> None:
        self.send({"id": request.id, "ok": True, "result": result}, buffers)

    def _answer_show(self, request: Request) -> Answer:
        try:
            return self._show(request)
        finally:
            if not self._view_lane.waiting:
                self._preview()

    def _show(self, request: Request) -> Answer:
        phrase = request.text("phrase") if request.type == "score" else ""
        if request.type == "score" and not phrase.strip():
            raise PhraseError("The phrase is empty; type what the wrong images share, for example: red.")
        class_name = request.text("class_name")
        scored: PhraseScore | None
        if request.type == "sharpen":
            scored = self._sharpen(class_name, request.text("phrase"))
        else:
            scored = self._score(class_name, phrase, request.texts("instead_of"))
        if self._view_lane.waiting:
            return {"stale": True}, []
        with self.session.lock:
            self._publish(**self._view_of(class_name, scored), error=None)
        return {}, []

    def _answer_hello(self, _request: Request) -> Answer:
        return {}, []

    def _answer_panels(self, _request: Request) -> Answer:
        return {}, [front_end.panels()]

    def _answer_pool_search(self, request: Request) -> Answer:
        panel = self._pool_panel
        if panel is None:
            return _answer_unknown(request)
        take = panel.find(request.text("phrase"))
        if self._pool_lane.waiting:
            return {"stale": True}, []
        with self.session.lock:
            take()
            self._show_pool()
        return {}, []

    def _answer_examples(self, _request: Request) -> Answer:
        with self.session.lock:
            return self._examples.whole()

    def _answer_typing(self, request: Request) -> Answer:
        """While somebody types, the processor is for the phrase that they are about to ask for."""
        if request.fields.get("over") is True:
            self._preview()
        else:
            self._previews.stop()
        return {}, []

    def _answer_suggest(self, request: Request) -> Answer:
        with self.session.lock:
            self._suggestions_asked.add(request.text("class_name"))
            self._publish(suggestions=self._suggestions_for(self.class_name), error=None)
        self._preview()
        return {}, []

    def _answer_mark(self, request: Request) -> Answer:
        has = request.fields.get("has")
        if has not in (True, False, None):
            raise ClarifyError(f"A mark request needs 'has' as true, false or null; got {has!r}.")
        self.mark(request.whole_numbers("indices", _MOST_MARKS), has=has, phrase=request.text("phrase"))
        self._publish(error=None)
        return {}, []

    def _answer_compare_phrases(self, request: Request) -> Answer:
        class_name = request.text("class_name")
        with self.session.lock:
            thresholds = self._thresholds() if class_name == self.class_name else None
        compared = self.session.compare_phrases(
            class_name, request.text("first"), request.text("second"), thresholds=thresholds
        )
        return presentation.phrase_comparison_json(compared), []

    def _answer_keep(self, request: Request) -> Answer:
        self.keep(request.text("class_name"), request.text("phrase"), request.number("threshold"))
        self._publish(error=None)
        return {}, []

    def _answer_remove(self, request: Request) -> Answer:
        self.remove(request.text("class_name"), request.text("phrase"))
        self._publish(error=None)
        return {}, []

    def _answer_undo(self, _request: Request) -> Answer:
        undone = self.undo()
        self._publish(error=None)
        return {"undone": undone}, []

    def _answer_redo(self, _request: Request) -> Answer:
        redone = self.redo()
        self._publish(error=None)
        return {"redone": redone}, []

    def _answer_switch(self, request: Request) -> Answer:
        on = request.fields.get("on") is True
        self.session.switch(request.text("class_name"), request.text("phrase"), on=on)
        self._publish(error=None)
        return {}, []

    def _answer_use_model(self, request: Request) -> Answer:
        self.session.use_model(int(request.number("number")))
        self._publish(error=None)
        return {}, []

    def _answer_retrain(self, request: Request) -> Answer:
        run = self._begin_retraining(request.text("objective"))
        self._runs.do_beside(run, self._show_error)
        return {"run_id": run.run_id}, []

    def _answer_finetune(self, _request: Request) -> Answer:
        run = self._begin_finetuning(None, None)
        self._runs.do_beside(run, self._show_finetuning_error)
        return {"run_id": run.run_id}, []

    def _answer_cancel(self, _request: Request) -> Answer:
        self.cancel()
        self._publish(error=None)
        return {}, []


def _when_closed(comm: Any, forget: Callable[[], None]) -> None:
    """Call `forget` after a comm has closed: marimo closes it when a cell runs again, and tells nobody."""
    close = comm.close

    def close_and_forget(*arguments: Any, **settings: Any) -> None:
        comm.close = close
        close(*arguments, **settings)
        forget()

    comm.close = close_and_forget


def _answer_unknown(request: Request) -> Answer:
    raise ClarifyError(f"There is no request {request.type!r}; the page and the package differ in version.")


def _error_json(error: Exception) -> Json:
    """Return an error in one sentence; what nobody foresaw also goes to the log."""
    if isinstance(error, ClarifyError | traitlets.TraitError):
        return {"type": type(error).__name__, "message": str(error)}
    logger.error("An unexpected error in a widget", exc_info=error)
    return {"type": type(error).__name__, "message": presentation.unexpected(error)}


def _reject(unknown: Mapping[str, Any]) -> None:
    known = ("session", "theme", "objective", "pool", "attributes")
    for name in unknown:
        raise TypeError(
            f"ClarifyWidget has no argument {name!r}; it has {', '.join(known)}.{close_to(name, known)}"
        )
