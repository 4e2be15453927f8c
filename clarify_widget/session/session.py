"""Session: every verb of the loop, with no notebook needed."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from clarify_widget import encoders
from clarify_widget.arrays import whole_numbers
from clarify_widget.concepts import Annotation, Annotations
from clarify_widget.datasets.images import reduced_image
from clarify_widget.discovery.discrepancy import LEAST, Discrepancies, accuracy_discrepancies
from clarify_widget.encoders.preparation import Progress, prepare
from clarify_widget.errors import DataError, NotFittedError, ScoreError, UnknownClassError
from clarify_widget.evaluation import CellAccuracy
from clarify_widget.session.cells import Cells, slices_of, with_whole_classes
from clarify_widget.session.comparison import compare, evaluate_by_group
from clarify_widget.session.curve import CurveRecorder
from clarify_widget.session.expected import Expectations, too_much_for_previews
from clarify_widget.session.history import Retraining, Steps, Tried
from clarify_widget.session.judgements import Judgement, Verdict
from clarify_widget.session.memory import Memory
from clarify_widget.session.minority import MinoritySplit, minority_split
from clarify_widget.session.origin import origin_of
from clarify_widget.session.phrase_comparison import PhraseComparison, compare_phrases
from clarify_widget.session.phrases import PhraseSimilarities
from clarify_widget.session.predictions import (
    confidences_of,
    features_of,
    is_model,
    predict,
    with_predictions,
)
from clarify_widget.session.ranking import Ranking, rank_phrases
from clarify_widget.session.results import (
    ClassMembers,
    ClassSummary,
    Comparison,
    Expected,
    PhraseScore,
    PhraseSplit,
)
from clarify_widget.session.reviewing import Addition, Review
from clarify_widget.session.scoring import score_phrase
from clarify_widget.session.sharpening import sharpen_phrase
from clarify_widget.session.sides import Sides, sides_of
from clarify_widget.session.suggestions import known_phrases, suggest_phrases, take_long
from clarify_widget.session.table import table_of
from clarify_widget.session.triage import ACCURACIES, MOST_CLASSES, Triage, triage_classes
from clarify_widget.training import (
    FitProgress,
    LinearHead,
    StandardisedFeatures,
    head_from,
    sample_weights,
    train_head,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    import PIL.Image

    from clarify_widget.arrays import BoolArray, FloatArray, IntArray
    from clarify_widget.concepts import SharpenedPhrase
    from clarify_widget.datasets.dataset import Dataset, ImageSequence, Split, UnreadableImage
    from clarify_widget.discovery import Attributes
    from clarify_widget.encoders.base import Encoder, ImageModel
    from clarify_widget.evaluation import Evaluation, KeywordTable
    from clarify_widget.evaluation.explain import Alignment
    from clarify_widget.finetuning import FinetuneProgress, Losses, Settings
    from clarify_widget.session.autosave import Autosave, Saved
    from clarify_widget.session.curve import RetrainProgress
    from clarify_widget.session.explanations import Explanation
    from clarify_widget.session.finetuning import Finetuning
    from clarify_widget.session.gathering import Gathering
    from clarify_widget.session.phrases import EmbeddedPhrases
    from clarify_widget.training import Head

Event = Literal[
    "fitted",
    "scored",
    "annotated",
    "removed",
    "switched",
    "retrained",
    "model",
    "undone",
    "redone",
    "expected",
    "saved",
    "suggested",
    "gathered",
    "reviewed",
    "judged",
]

_NEEDS_SLICES = frozenset({"slice_balanced", "worst_slice"})
_SUGGESTIONS_REMEMBERED = 256  # classes
_ACCURACIES_REMEMBERED = 4096  # phrases at a threshold
_SIMILARITIES_REMEMBERED = 4  # phrases of a class: what is shown, asked for several times while it is scored


class Session:
    """The loop of Clarify (Lee et al., UIST 2024) over one data set, one encoder and one head.

    Parameters
    ----------
    dataset
        Images, embeddings, or both; see `clarify_widget.datasets`.
    encoder
        A name for `encoders.load`, or any object with encode_images, encode_text, name and dim. It is the
        space that phrases are compared in; the head trains on `features` where the data set has them.
    head
        A model that is trained already: a LinearHead, a fitted scikit-learn classifier, a torch module or a
        function, of the features; see `training.head_from`. Without one, `fit` trains ERM.
    predictions
        Instead of a head, what any model predicts: {"val": ..., "test": ...}, or an array for "val" alone,
        of (n,) class indices or names, or (n, C) probabilities or logits. A model does as well, like `head`.
    cache_dir
        Where embeddings of images are kept between runs; None keeps them in memory only.
    device
        Where a named encoder runs, "cpu" or "cuda"; None chooses.
    l2
        The strength of the penalty on the weights of every head that is trained here.
    backbone
        What makes the features that the head trains on, where the data set has none: a name for
        `encoders.load_backbone`, or any object with encode_images, name and dim. By default the embeddings.

    Raises
    ------
    DataError
        When head and predictions are both given, or predictions do not fit the data set.
    EncoderError
        When the encoder cannot be loaded.
    """

    def __init__(
        self,
        dataset: Dataset,
        encoder: str | Encoder = "demo",
        head: object | None = None,
        predictions: Mapping[str, Any] | Any | None = None,
        cache_dir: str | Path | None = None,
        device: str | None = None,
        *,
        l2: float = 1e-2,
        backbone: str | ImageModel | None = None,
    ) -> None:
        if head is not None and predictions is not None:
            raise DataError(
                "Give either head= or predictions=, not both: the head would make other predictions."
            )
        if predictions is not None and is_model(predictions):
            head, predictions = predictions, None
        self.dataset = dataset if predictions is None else with_predictions(dataset, predictions)
        self.encoder: Encoder = encoders.load(encoder, device=device)
        self._backbone = (
            encoders.load_backbone(backbone, device=device) if isinstance(backbone, str) else backbone
        )
        self.head: Head | None = (
            None if head is None else head_from(head, dataset.num_classes, dataset.class_names)
        )
        self.l2 = l2
        self.lock = threading.RLock()
        self._cache_dir = None if cache_dir is None else Path(cache_dir)
        self._fitted = False
        self._predictions: dict[str, IntArray] = {}
        self._confidences: dict[str, FloatArray | None] = {}
        self._tried = Tried()
        self._steps = Steps()
        self._phrases = PhraseSimilarities()
        self._expectations = Expectations()
        self._suggested: Memory[Ranking] = Memory(_SUGGESTIONS_REMEMBERED)
        self._accuracies: Memory[tuple[CellAccuracy, CellAccuracy]] = Memory(_ACCURACIES_REMEMBERED)
        self._members: dict[str, ClassMembers] = {}
        self._similar: Memory[FloatArray] = Memory(_SIMILARITIES_REMEMBERED)
        self._standardised: StandardisedFeatures | None = None
        self._subscribers: list[Callable[[Event], None]] = []
        self._reviews: dict[str, Review] = {}  # by key of the pool
        self._own_training: Split | None = None  # where images of pools were added to it
        self._folder: Path | None = None  # the saved session that this one goes on from
        self._autosave: Autosave | None = None

    # -- what it knows

    @property
    def class_names(self) -> tuple[str, ...]:
        """The C class names."""
        return self.dataset.class_names

    @property
    def fitted(self) -> bool:
        """Whether `fit` has been called."""
        return self._fitted

    @property
    def annotations(self) -> Annotations:
        """The annotations that were kept, in the order in which they were kept."""
        return self._steps.now.annotations

    @property
    def judgements(self) -> tuple[Judgement, ...]:
        """Which attributes were judged healthy or spurious, in the order of the judgements; see `judge`."""
        return self._steps.now.judgements

    @property
    def retrained(self) -> LinearHead | None:
        """The head of the last retraining."""
        return None if self._steps.now.retraining is None else self._steps.now.retraining.head

    @property
    def retraining(self) -> Retraining | None:
        """The last retraining: its head, the annotations it used, and its before/after."""
        return self._steps.now.retraining

    @property
    def models(self) -> tuple[Retraining, ...]:
        """Every retraining so far, oldest first, whether or not it is the one in use; see `use_model`."""
        return self._steps.retrainings

    @property
    def steps(self) -> Steps:
        """What was done, can be taken back and can be done again."""
        return self._steps

    @property
    def tried(self) -> tuple[PhraseScore, ...]:
        """Every phrase tried for any class, oldest first."""
        return self._tried.scores

    @property
    def sharpened(self) -> tuple[SharpenedPhrase, ...]:
        """Every phrase that was sharpened, with the images that were marked for it."""
        return self._phrases.sharpened

    @property
    def gathered(self) -> int:
        """How many of the training images, the last ones, were added from pools; see `pool`."""
        return sum(len(addition.rows) for addition in self._steps.now.additions)

    @property
    def dataset_alone(self) -> Dataset:
        """The data set without what was added from pools."""
        if self._own_training is None:
            return self.dataset
        return replace(self.dataset, train=self._own_training)

    @property
    def reviews(self) -> tuple[Review, ...]:
        """What was decided of each pool."""
        return tuple(self._reviews.values())

    @property
    def comparison_split(self) -> Split:
        """Where before and after are compared: test if the model has predictions for it, else validation."""
        test = self.dataset.test
        return test if test is not None and self.can_predict(test) else self.dataset.val

    @property
    def training_features(self) -> StandardisedFeatures:
        """The training features as the solvers take them; standardised once, then remembered."""
        if self._standardised is None:
            self._standardised = StandardisedFeatures.of(features_of(self.dataset.train))
        return self._standardised

    def can_predict(self, split: Split) -> bool:
        """Whether the model under review can say what it predicts on a split."""
        return split.predictions is not None or self.head is not None

    def __repr__(self) -> str:
        """Return data set, encoder and progress in one line."""
        stage = "retrained" if self.retrained else "fitted" if self.fitted else "not fitted"
        kept = f"{len(self.annotations)} kept"
        return f"<Session {self.dataset.summary()}; encoder {self.encoder.name}; {kept}; {stage}>"

    # -- the verbs of the loop

    def fit(self, progress: Progress | None = None) -> Evaluation:
        """Embed what is not embedded yet, train an ERM head unless a model was given, and evaluate it.

        Parameters
        ----------
        progress
            Called with what is being done and the fraction done.

        Returns
        -------
        The evaluation on the split where before and after are compared.
        """
        with self.lock:
            self.dataset = prepare(self.dataset, self.encoder, self._cache_dir, progress, self._backbone)
            self._phrases.forget_images()
            self._expectations.forget()
            self._suggested = Memory(_SUGGESTIONS_REMEMBERED)  # what still computes goes into the old one
            self._accuracies = Memory(_ACCURACIES_REMEMBERED)
            self._members = {}
            self._similar = Memory(_SIMILARITIES_REMEMBERED)
            self._standardised = None
            if self.head is None and self.dataset.val.predictions is None:
                self.head = self._train("erm")
            self._predictions = {}
            self._confidences = {}
            self._fitted = True
        self._notify("fitted")
        return self.evaluation()

    def evaluation(self, split: str | None = None, *, retrained: bool = False) -> Evaluation:
        """Evaluate the model under review, or the retrained head, on a split.

        Parameters
        ----------
        split
            "train", "val" or "test"; None means the split where before and after are compared.
        retrained
            Whether to evaluate the head of the last retraining instead.

        Raises
        ------
        NotFittedError
            When the model has no predictions for that split, or nothing has been retrained.
        """
        part = self.comparison_split if split is None else self._split(split)
        head = self._retrained_head() if retrained else None
        predictions = self.predictions(part.name) if head is None else head.predict(features_of(part))
        return evaluate_by_group(self.dataset, part, predictions)

    def classes(self) -> tuple[ClassSummary, ...]:
        """Return every class with its errors on the validation images, worst error rate first."""
        labels, correct = self.dataset.val.labels, self.correct("val")
        sizes = np.bincount(labels, minlength=self.dataset.num_classes)
        wrong = np.bincount(labels[~correct], minlength=self.dataset.num_classes)
        annotated = {annotation.class_name for annotation in self.annotations}
        summaries = (
            ClassSummary(name, int(sizes[label]), int(wrong[label]), name in annotated)
            for label, name in enumerate(self.class_names)
        )
        return tuple(
            sorted(summaries, key=lambda summary: (-summary.error_rate if summary.size else 1, -summary.size))
        )

    def members(self, class_name: str) -> ClassMembers:
        """Return the validation images of one class and which of them the model gets right."""
        memory = self._members
        known = memory.get(class_name)
        if known is None:
            indices = np.flatnonzero(self.dataset.val.labels == self._label(class_name))
            memory[class_name] = known = ClassMembers(indices, self.correct("val")[indices])
        return known

    def score(self, class_name: str, phrase: str, *, instead_of: Collection[str] = ()) -> PhraseScore:
        """Score how well a phrase tells the wrong validation images of a class from the right ones.

        The result joins the history of the class; see `error_score` for the definition.

        Parameters
        ----------
        class_name, phrase
            What the wrong images of which class may share.
        instead_of
            Phrases that leave the history of the class, unless they are kept: what was scored while this one
            was being typed.

        Raises
        ------
        PhraseError
            When the phrase is empty, too long, or unknown to an encoder with a fixed list.
        ScoreError
            When the model gets no image, or every image, of the class right.
        """
        scored = score_phrase(self, class_name, phrase)
        with self.lock:
            self._tried.add(scored, instead_of, self._kept_phrases(class_name))
        self._notify("scored")
        return next(tried for tried in self.history(class_name) if tried.phrase == scored.phrase)

    def history(self, class_name: str) -> tuple[PhraseScore, ...]:
        """Return the phrases tried for a class, newest first, the best and the kept ones marked."""
        self._label(class_name)
        return self._tried.of_class(class_name, self._kept_phrases(class_name))

    def rank(self, class_name: str, phrases: Iterable[str] | None = None, *, seed: int = 0) -> Ranking:
        """Rank phrases for a class by their Error Score, and say how many of them chance could have made.

        Nothing joins the history. Whoever tries many phrases finds a good one by chance: the p-values are
        corrected for the length of the list.

        Parameters
        ----------
        class_name
            The class that the phrases are about.
        phrases
            None means all that were tried for the class.
        seed
            Of the 1,000 shuffles of right and wrong.

        Raises
        ------
        PhraseError
            When there are no phrases, or as `score`.
        ScoreError
            When the model gets no image, or every image, of the class right.
        """
        tried = (scored.phrase for scored in self.history(class_name))
        return rank_phrases(self, class_name, tried if phrases is None else phrases, seed=seed)

    def suggest(
        self,
        class_name: str,
        k: int = 10,
        candidates: Iterable[str] | None = None,
        cancelled: Callable[[], bool] | None = None,
        *,
        direction: Literal[1, -1] | None = 1,
        seed: int = 0,
    ) -> Ranking:
        """Try many phrases for a class and return the best; nothing joins the history.

        Parameters
        ----------
        class_name
            The class that the phrases are about.
        k
            How many to return, the highest Error Score first.
        candidates
            The phrases to try, without those that name a class; `discovery` finds some in captions and in
            WordNet. None means those that the encoder knows by itself (its `phrases`), else some 1,500
            that come with the package. What is found for None is remembered until the model changes.
        cancelled
            Asked between batches of phrases that have to be embedded, and all the time after that.
        direction
            1 for phrases that the wrong images have more of, -1 for those that the right ones have more of,
            None for both.
        seed
            Of the 199 shuffles of right and wrong.

        Returns
        -------
        A ranking whose noise line and p-values count every candidate, not only the k.

        Raises
        ------
        PhraseError
            When there are no candidates, or as `score`.
        ScoreError
            When the model gets no image, or every image, of the class right.
        CancelledError
            When `cancelled` said so.
        """
        memory, key = self._suggested, (class_name, k, direction, seed)
        known = memory.get(key) if candidates is None else None
        if known is not None:
            return known
        found = suggest_phrases(
            self,
            class_name,
            candidates,
            most=k,
            direction=direction,
            seed=seed,
            cancelled=cancelled,
        )
        if candidates is None:
            memory.put(key, found)
            self._notify("suggested")
        return found

    def triage(
        self,
        candidates: Iterable[str] | None = None,
        *,
        k: int = 10,
        most: int = MOST_CLASSES,
        accuracies: tuple[float, float] = ACCURACIES,
        direction: Literal[1, -1] | None = 1,
        seed: int = 0,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Triage:
        """Find the classes that are worth a look: try every candidate phrase for every class.

        Nothing joins the history. What a class comes to is what `suggest` finds for it.

        Parameters
        ----------
        candidates, direction, seed
            As `suggest` takes them.
        k
            How many phrases to list for each class.
        most
            How many classes to return.
        accuracies
            Only classes are tried whose validation accuracy lies between these two, both included.
        progress
            Called with what is being done and the fraction done.
        cancelled
            Asked all the time.

        Raises
        ------
        ScoreError
            When no class has such an accuracy.
        PhraseError
            When there are no candidates.
        DataError
            When the accuracies are not two rising numbers in 0..1.
        CancelledError
            When `cancelled` said so.

        Notes
        -----
        Lee et al., "Clarify" (UIST 2024), section 4.1; see `session.triage` for what differs.
        """
        return triage_classes(
            self,
            candidates,
            k=k,
            most=most,
            accuracies=accuracies,
            direction=direction,
            seed=seed,
            progress=progress,
            cancelled=cancelled,
        )

    def bias_to_text(
        self,
        class_name: str,
        captions: Sequence[str],
        *,
        method: Literal["yake", "keybert"] = "yake",
        most: int = 20,
        seed: int = 0,
    ) -> KeywordTable:
        """Rank keywords as Bias-to-Text does, beside their Error Scores; nothing joins the history.

        Parameters
        ----------
        class_name
            The class that they are about.
        captions
            One for each validation image of the class, in their order, or one for each of all of them.
        method, most, seed
            As `discovery.bias_to_text` takes them.

        Raises
        ------
        ScoreError, PhraseError, DataError
            As `discovery.bias_to_text`.
        """
        from clarify_widget.session.keywords import bias_to_text_of

        return bias_to_text_of(self, class_name, captions, method=method, most=most, seed=seed)

    def attributes(
        self,
        table: Attributes | Any | None = None,
        *,
        candidates: Iterable[str] | None = None,
        split: str = "val",
        retrained: bool = False,
        least: int = LEAST,
        cancelled: Callable[[], bool] | None = None,
    ) -> Discrepancies:
        """Find the attributes with which the model is more often right, or wrong, class by class.

        Nothing is kept. `annotate(found.class_name, found.attribute, found.threshold)` keeps what was found
        as a phrase, and `judge` says whether it belongs to the class.

        Parameters
        ----------
        table
            Who shows what: `discovery.detect_attributes` asks a detector; a DataFrame, or what
            `discovery.attributes_from_table` makes of an array, has one row an image of the split. None asks
            the encoder: an image has a phrase where its similarity is above the encoder's own `threshold`,
            or else above one that is calibrated on the training images; see
            `concepts.calibrated_thresholds`.
        candidates
            The phrases to ask the encoder for, as `suggest` takes them.
        split
            "train", "val" or "test"; with few validation images the paper takes the training images.
        retrained
            Whether to look at the head of the last retraining instead of the model under review.
        least
            How many images of a class must have an attribute, and how many must not.
        cancelled
            Asked between batches of phrases.

        Raises
        ------
        ScoreError
            When no class has right and wrong images, and enough of them with and without an attribute.
        PhraseError
            When there are no candidates.
        DataError
            When the table does not fit the split, or entries are neither true nor false.
        NotFittedError
            When the model has no predictions for the split, or nothing has been retrained.
        CancelledError
            When `cancelled` said so.

        Notes
        -----
        Yang et al., "Mitigating Spurious Correlations in Multi-modal Models during Fine-tuning" (ICML 2023),
        section 4; see `discovery.accuracy_discrepancies` for what differs.
        """
        from clarify_widget.session.attributes import attributes_of

        part = self._split(split)
        predictions = self.predictions(split)
        if retrained:
            predictions = self._retrained_head().predict(features_of(part))
        known = attributes_of(self, table, candidates, split, cancelled)
        return accuracy_discrepancies(known, part.labels, predictions, self.class_names, least=least)

    def judge(
        self, class_name: str, attribute: str, verdict: Verdict | None, threshold: float | None = None
    ) -> None:
        """Say whether an attribute belongs to a class or only comes with it; `undo` takes it back.

        Parameters
        ----------
        class_name, attribute
            As `attributes` found them.
        verdict
            "healthy" for what is part of the class, such as the yellow of taxis; "spurious" for what is not,
            such as the baby beside a pacifier; None for undecided again.
        threshold
            That of the attribute, where it is a phrase.

        Raises
        ------
        UnknownClassError
            When there is no such class.
        DataError
            When the verdict is none of these.
        """
        self._label(class_name)
        with self.lock:
            before = self.judgements
            others = tuple(one for one in before if one.about != (class_name, attribute))
            if verdict is None:
                if len(others) == len(before):
                    return
                self._take(f"Leave “{attribute}” open", judgements=others)
            else:
                judged = Judgement(class_name, attribute, verdict, threshold)
                self._take(f"Judge “{attribute}” {verdict}", judgements=(*others, judged))
        self._notify("judged")

    @property
    def explains(self) -> bool:
        """Whether `explain` knows the encoder's layers."""
        from clarify_widget.evaluation.explain import can_explain

        return can_explain(self.encoder)

    def explain(self, index: int, about: str, split: str = "val", *, retrained: bool = False) -> Explanation:
        """Show which places of an image speak for a class, or for any text, by GradCAM.

        Parameters
        ----------
        index, split
            Which image.
        about
            A class: then its logit is explained, where the model is a linear head on the embeddings, and the
            similarity with its name otherwise. Or a phrase: then the similarity with it.
        retrained
            Whether to explain the head of the last retraining instead of the model under review.

        Raises
        ------
        EncoderError
            When the encoder's image tower is not a ResNet or ViT of open_clip.
        PhraseError
            When the phrase is empty or too long.
        DataError, ImageReadError
            As `image`.
        """
        from clarify_widget.session.explanations import explain_image

        return explain_image(self, index, about, split, retrained=retrained)

    def alignment(self, split: str = "val", *, retrained: bool = False) -> Alignment:
        """Compare where the model looks, for the true class, with where the thing is; see `explain`.

        Parameters
        ----------
        split
            "train", "val" or "test"; it must have masks.
        retrained
            As `explain`.

        Returns
        -------
        AIoU and pointing accuracy, on average and by group.

        Raises
        ------
        DataError
            When the split has no images or no masks.
        EncoderError
            As `explain`.

        Notes
        -----
        Yang et al. (ICML 2023), section 5.3.
        """
        from clarify_widget.session.explanations import alignment_of

        return alignment_of(self, split, retrained=retrained)

    def pool(
        self,
        source: Any,
        images: ImageSequence | Sequence[Any] | None = None,
        *,
        column: str = "embedding",
    ) -> Gathering:
        """Open unlabelled images, to find more of what the training set lacks.

        What was decided before about the same images is known again: a folder or file by its path, rows in
        memory by what they are. `ClarifyWidget.review_pool` shows the pool.

        Parameters
        ----------
        source, images, column
            A folder, an array, or a .npy, FAISS or Lance file; see `discovery.open_pool`.

        Raises
        ------
        DataError, MissingDependencyError
            As `discovery.open_pool`.
        """
        from clarify_widget.discovery import open_pool
        from clarify_widget.session.gathering import Gathering

        self._require_fit()
        pool = open_pool(source, self.encoder, images, cache_dir=self._cache_dir, column=column)
        return Gathering(self, pool)

    def review_of(self, pool: str) -> Review:
        """Return what was decided of the pool with this key."""
        return self._reviews.get(pool) or Review(pool)

    def change_review(self, pool: str, change: Callable[[Review], Review]) -> None:
        """Change what was decided of a pool; a `Gathering` knows how."""
        with self.lock:
            self._reviews = {**self._reviews, pool: change(self.review_of(pool))}
            self._steps.forget_additions_taken_back()
        self._notify("reviewed")

    def extend_training(self, addition: Addition) -> None:
        """Add images to the training set; `Gathering.add` makes them of what was accepted.

        Raises
        ------
        DataError
            As `Gathering.add`.
        """
        with self.lock:
            self._require_fit()
            additions = (*self._steps.now.additions, addition)
            self._train_on(additions)
            self._take(str(addition), additions=additions)
        self._notify("gathered")

    def _train_on(self, additions: tuple[Addition, ...]) -> None:
        """Let the training set be its own images and these, and forget what was known of another one."""
        from clarify_widget.session.gathering import with_more_training

        alone = self.dataset_alone
        if additions:
            train = with_more_training(alone.train, [addition.images for addition in additions])
            self.dataset = replace(alone, train=train)
            self._own_training = alone.train
        else:
            self.dataset, self._own_training = alone, None
        self._reviews = {pool: review.with_added(additions) for pool, review in self._reviews.items()}
        self._phrases.forget_images()
        self._expectations.forget()
        self._similar = Memory(_SIMILARITIES_REMEMBERED)
        self._standardised = None
        self._predictions.pop("train", None)
        self._confidences.pop("train", None)

    def suggested_already(self, class_name: str, k: int = 10) -> Ranking | None:
        """Return what `suggest` has found for a class; None when it was not asked yet."""
        return self._suggested.get((class_name, k, 1, 0))

    def suggests_unasked(self, class_name: str) -> bool:
        """Whether suggestions for a class take a moment only; else people should ask for them."""
        return not take_long(len(known_phrases(self.encoder)), len(self.members(class_name).indices))

    def compare_phrases(
        self, class_name: str, first: str, second: str, *, thresholds: Mapping[str, float] | None = None
    ) -> PhraseComparison:
        """Compare two phrases on the validation images of a class; nothing joins the history.

        Parameters
        ----------
        class_name, first, second
            Which class, and which phrases; each at the threshold that `threshold_of` says.
        thresholds
            By phrase, where it is another one.

        Raises
        ------
        PhraseError, ScoreError
            As `score`.
        """
        return compare_phrases(self, class_name, first, second, thresholds)

    def sharpen(
        self,
        class_name: str,
        phrase: str,
        has: Iterable[int] = (),
        has_not: Iterable[int] = (),
        *,
        split: str = "val",
    ) -> PhraseScore:
        """Sharpen a phrase by images that have it and images that have not, and score what came of it.

        The sharpened phrase has a name of its own, such as "smoke, sharpened by 7", and is a phrase like any
        other from then on. Its score leaves out the validation images that were marked for it. See
        `concepts.sharpen` for how.

        Parameters
        ----------
        class_name
            The class that it is scored on; images of every class may be marked.
        phrase
            Words, or the name of a phrase that was sharpened before: then its marks count as well, and of two
            marks on one image the later.
        has, has_not
            Rows of the split.
        split
            The split that the rows are of.

        Raises
        ------
        DataError
            When nothing is marked, an image is marked both ways or does not exist, or the phrase is a
            combination.
        PhraseError, ScoreError
            As `score`.
        """
        self._require_fit()
        sharpened = sharpen_phrase(self, phrase, has, has_not, self._split(split))
        self.learn([sharpened])
        return self.score(class_name, sharpened.name)

    def expected(
        self,
        class_name: str,
        phrases: Iterable[str] | None = None,
        cancelled: Callable[[], bool] | None = None,
        *,
        thresholds: Mapping[str, float] | None = None,
    ) -> tuple[Expected, ...]:
        """Say what retraining with each phrase would give on validation; nothing is kept or changed.

        Each phrase is taken as if it were kept for its class, beside what is kept for the other classes, and
        the last layer is trained again slice-balanced. What was computed once is remembered until the model,
        or what is kept for the other classes, changes.

        Parameters
        ----------
        class_name
            The class that the phrases are about.
        phrases
            None means all that were tried for the class, newest first.
        cancelled
            Asked between iterations.
        thresholds
            By phrase, where it is not the one that the phrase is kept with or else that of its Error Score.

        Returns
        -------
        One for each phrase, in order. Where a phrase cannot be retrained with, as when one of its sides has
        no training images or the encoder does not know its words, it says the reason.

        Raises
        ------
        PhraseError, ScoreError
            As `score`, for a phrase that was not tried yet.
        CancelledError
            When `cancelled` said so.
        """
        tried = {scored.phrase: scored for scored in self.history(class_name)}
        wanted = list(tried) if phrases is None else [phrase.strip() for phrase in phrases]
        scored = [tried.get(phrase) or score_phrase(self, class_name, phrase) for phrase in wanted]
        return self._expectations.find(
            self,
            [(one, self.threshold_of(one, thresholds)) for one in scored],
            cancelled,
            found_more=lambda: self._notify("expected"),
        )

    def expected_already(
        self, class_name: str, *, thresholds: Mapping[str, float] | None = None
    ) -> dict[str, Expected]:
        """Return what `expected` has computed for the phrases tried for a class, by phrase."""
        return self._expectations.known(
            self,
            [
                Annotation(class_name, tried.phrase, self.threshold_of(tried, thresholds))
                for tried in self.history(class_name)
            ],
        )

    @property
    def previews_off(self) -> str:
        """Why nobody should ask for `expected` unasked; empty for data of ordinary size."""
        self._require_fit()
        return too_much_for_previews(self.dataset)

    def threshold_of(self, scored: PhraseScore, chosen: Mapping[str, float] | None = None) -> float:
        """Return the threshold of a phrase: chosen now, else kept, else that of its Error Score."""
        if chosen is not None and scored.phrase in chosen:
            return float(chosen[scored.phrase])
        named = (scored.class_name, scored.phrase)
        kept = (one.threshold for one in self.annotations if (one.class_name, one.phrase) == named)
        return next(kept, scored.threshold)

    def split(self, class_name: str, phrase: str, threshold: float, split: str = "val") -> PhraseSplit:
        """Return the images of a class, apart by a phrase: with it where the similarity is above."""
        part = self._split(split)
        indices = np.flatnonzero(part.labels == self._label(class_name))
        return PhraseSplit(
            indices,
            self.similarities_of_class(class_name, phrase, split),
            self.correct(split)[indices],
            threshold,
        )

    def sides(self, class_name: str, phrase: str, threshold: float | None = None) -> Sides:
        """Say how many training and validation images a threshold puts on each side, and what to mind.

        Parameters
        ----------
        class_name, phrase
            As `score` takes them.
        threshold
            None means the one that the phrase is kept with, or else that of its Error Score.

        Raises
        ------
        PhraseError, ScoreError
            As `score`.
        """
        tried = next((one for one in self.history(class_name) if one.phrase == phrase.strip()), None)
        scored = tried or score_phrase(self, class_name, phrase)
        return sides_of(self, scored, self.threshold_of(scored) if threshold is None else float(threshold))

    def accuracies(self, class_name: str, phrase: str, threshold: float) -> tuple[CellAccuracy, CellAccuracy]:
        """Return how many validation images of a class are right without a phrase, and with it."""
        memory, key = self._accuracies, (class_name, phrase, threshold)
        known = memory.get(key)
        if known is None:
            correct = self.members(class_name).correct
            has = self.similarities_of_class(class_name, phrase) > threshold
            known = (
                CellAccuracy("without", int(np.count_nonzero(~has)), int(np.count_nonzero(correct & ~has))),
                CellAccuracy("with", int(np.count_nonzero(has)), int(np.count_nonzero(correct & has))),
            )
            memory.put(key, known)
        return known

    def accuracies_already(
        self, class_name: str, phrase: str, threshold: float
    ) -> tuple[CellAccuracy, CellAccuracy] | None:
        """Return `accuracies` where that takes no time; None where the phrase has to be compared first."""
        known = self._accuracies.get((class_name, phrase, threshold))
        if known is None and self._phrases.remembers(phrase, self.dataset.val, self._label(class_name)):
            return self.accuracies(class_name, phrase, threshold)
        return known

    def minority_splits(self, split: str = "val") -> tuple[MinoritySplit, ...]:
        """Divide the images of each annotated class into the side that is hard for the model and the other.

        The annotations are those of the last retraining, else the best of each class. Which side is the
        minority is decided on validation, as in the paper (section 5.3), also for another split.

        Parameters
        ----------
        split
            "train", "val" or "test".

        Returns
        -------
        One an annotation, with the accuracies of the model under review and of the retrained one; empty
        where nothing is kept.

        Raises
        ------
        NotFittedError
            When the model has no predictions for that split.
        """
        used = self.annotations.best_per_class() if self.retraining is None else self.retraining.annotations
        return tuple(minority_split(self, annotation, split) for annotation in used)

    def annotate(self, class_name: str, phrase: str, threshold: float | None = None) -> Annotation:
        """Keep a phrase for a class.

        Parameters
        ----------
        class_name, phrase
            What the wrong images of which class share.
        threshold
            The similarity above which an image has the phrase; None means the threshold of the Error Score.
        """
        scored = self.score(class_name, phrase)
        chosen = scored.threshold if threshold is None else float(threshold)
        sharpened = self.sharpened_parts(scored.phrase)
        annotation = Annotation(class_name, scored.phrase, chosen, scored.score, sharpened=sharpened)
        with self.lock:
            self._take(f"Keep “{annotation.phrase}”", annotations=self.annotations.add(annotation))
        self._notify("annotated")
        return annotation

    def load_annotations(self, source: str | Path | Annotations) -> Annotations:
        """Keep annotations of another session, as one step that `undo` takes back.

        Each keeps its threshold and is scored by the model under review. One with the class and phrase of an
        annotation that is kept already takes its place; the others stay.

        Parameters
        ----------
        source
            The JSON file that `Annotations.save` wrote, or the annotations themselves.

        Returns
        -------
        What was loaded, with its scores here; None where the model gets no image, or every image, of the
        class right.

        Raises
        ------
        SavedSessionError
            When the file is missing, is not JSON, or holds something else.
        UnknownClassError
            When an annotation is of a class that this data set does not have; nothing is kept then.
        PhraseError
            When the encoder does not take a phrase; nothing is kept then.
        """
        given = source if isinstance(source, Annotations) else Annotations.load(source)
        for annotation in given:
            self._label(annotation.class_name)
            self.learn(annotation.sharpened)
        scores = [self._score_or_none(annotation.class_name, annotation.phrase) for annotation in given]
        loaded = Annotations(
            replace(annotation, score=None if scored is None else scored.score)
            for annotation, scored in zip(given, scores, strict=True)
        )
        if not loaded:
            return loaded
        with self.lock:
            for scored in scores:
                if scored is not None:
                    self._tried.add(scored, (), self._kept_phrases(scored.class_name))
            what = "1 annotation" if len(loaded) == 1 else f"{len(loaded)} annotations"
            self._take(f"Load {what}", annotations=Annotations((*self.annotations, *loaded)))
        self._notify("annotated")
        return loaded

    def remove(self, class_name: str, phrase: str) -> None:
        """Take back a phrase that was kept.

        Raises
        ------
        DataError
            When it was not kept.
        """
        with self.lock:
            self._kept(class_name, phrase, "removed")
            self._take(f"Remove “{phrase}”", annotations=self.annotations.remove(class_name, phrase))
        self._notify("removed")

    def switch(self, class_name: str, phrase: str, *, on: bool) -> None:
        """Say whether retraining takes a phrase that was kept into account.

        Raises
        ------
        DataError
            When it was not kept.
        """
        with self.lock:
            kept = self._kept(class_name, phrase, "switched")
            if kept.active == on:
                return
            switched = self.annotations.add(replace(kept, active=on))
            self._take(f"Switch “{phrase}” {'on' if on else 'off'}", annotations=switched)
        self._notify("switched")

    def retrain(
        self,
        objective: str = "slice_balanced",
        progress: Callable[[RetrainProgress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        *,
        use: Literal["best", "all"] = "best",
    ) -> Comparison:
        """Train the last layer again so that the slices of the annotations count equally, and compare.

        Parameters
        ----------
        objective
            See `train_head`; "slice_balanced" is Eq. 2 of the paper.
        progress, cancelled
            Called between iterations; a true answer of `cancelled` stops and changes nothing.
        use
            Of the annotations that are switched on: "best" slices each class by the one with the highest
            Error Score, as the paper does; "all" by every one at once, each combination a slice.

        Raises
        ------
        NotFittedError
            When nothing has been kept and the objective needs slices.
        EmptySliceError
            When an annotation leaves one of its sides without training images.
        CancelledError
            When `cancelled` said so.
        """
        with self.lock:
            self._require_fit()
            annotations = self.annotations.best_per_class() if use == "best" else self.annotations.active()
            if objective in _NEEDS_SLICES and not annotations:
                raise NotFittedError(
                    f"{objective} needs at least one kept phrase that is switched on; "
                    "type one, then press Keep."
                )
            train_slices = self._slices(self.dataset.train, annotations).ids if annotations else None
            recorder = self._recorder(annotations, progress)
        head = self._train(objective, train_slices, recorder, cancelled)
        comparison = self.compare_with(head, annotations)
        with self.lock:
            number = len(self.models) + 1
            retraining = Retraining(number, head, annotations, comparison, recorder.curve)
            self._take("Retrain", retraining=retraining)
        self._notify("retrained")
        return comparison

    def finetune(
        self,
        objective: Losses | None = None,
        settings: Settings | None = None,
        progress: Callable[[FinetuneProgress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        *,
        use: Literal["best", "all"] = "best",
        embedding: Progress | None = None,
    ) -> Finetuning:
        """Fine-tune the encoder so that the kept phrases no longer speak for a class, and compare.

        The phrases are the spurious attributes, and the slices that they cut are the groups. Only the
        projections into the joint space are trained, and the epoch with the best worst group on validation is
        kept, or the best worst slice where no groups are known. Nothing changes here: the space is another
        one after that, with other similarities and thresholds, so the result has a session of its own.

        Parameters
        ----------
        objective
            A sum of `finetuning.Losses`; by default L_CLIP + L_vc + L_lc + L_ls of the paper.
        settings
            Of SGD; by default those published for CLIP's RN50. The demo encoder has weights and settings of
            its own, `finetuning.DRAWN_SPURIOUS_LANGUAGE` and `DRAWN`.
        progress, cancelled
            Called after, and asked before, every step; a true answer of `cancelled` stops, also while the
            towers run.
        use
            As `retrain` takes it.
        embedding
            Called with what is being done and the fraction done while the towers run over all images, which
            takes as long as embedding them.

        Raises
        ------
        NotFittedError
            When nothing has been kept.
        EncoderError
            When the encoder is not an open_clip model that can be fine-tuned.
        DataError
            When the data set has no images, or as `finetuning.finetune`.
        EmptySliceError
            When an annotation leaves one of its sides without training images.
        CancelledError
            When `cancelled` said so.

        Notes
        -----
        Yang et al., "Mitigating Spurious Correlations in Multi-modal Models during Fine-tuning" (ICML 2023).
        """
        from clarify_widget.session.finetuning import finetune_session, need_annotations

        with self.lock:
            self._require_fit()
            annotations = self.annotations.best_per_class() if use == "best" else self.annotations.active()
            need_annotations(annotations)
            self._slices(self.dataset.train, annotations)  # raises EmptySliceError before the long work
        return finetune_session(
            self,
            objective,
            settings,
            annotations,
            slices_of=lambda split: self._slices(split, annotations, allow_empty=True),
            cache_dir=self._cache_dir,
            embedding=embedding,
            progress=progress,
            cancelled=cancelled,
        )

    @property
    def finetuning_off(self) -> str:
        """Why `finetune` cannot work with this encoder or data set, and what can; empty when it can."""
        from clarify_widget.session.finetunable import reason_against_finetuning

        return reason_against_finetuning(self)

    def use_model(self, number: int) -> None:
        """Return to an earlier model; what is kept stays as it is.

        Parameters
        ----------
        number
            Of a retraining in `models`; 0 is the model under review itself.

        Raises
        ------
        DataError
            When there is no such model.
        """
        with self.lock:
            if not 0 <= number <= len(self.models):
                raise DataError(f"There are models 0 to {len(self.models)}; got {number}.")
            chosen = self.models[number - 1] if number else None
            if chosen is self.retraining:
                return
            what = f"Return to model {number}" if number else "Return to the original model"
            self._take(what, retraining=chosen)
        self._notify("model")

    def compare(self) -> Comparison:
        """Return the last before/after.

        Raises
        ------
        NotFittedError
            Before the first retraining.
        """
        if self._steps.now.retraining is None:
            raise NotFittedError("Nothing to compare yet; keep a phrase and call retrain first.")
        return self._steps.now.retraining.comparison

    def compare_with(self, head: LinearHead, annotations: Annotations) -> Comparison:
        """Compare the model under review with a head, by the slices of annotations; nothing changes."""
        split = self.comparison_split
        return compare(
            self.dataset,
            split,
            self._predictions[split.name],
            head.predict(features_of(split)),
            origin=origin_of(self, split.name, len(split), head),
            slices=self._slices(split, annotations, allow_empty=True),
        )

    @property
    def undoable(self) -> str:
        """What `undo` would take back; empty when there is nothing."""
        return self._steps.last

    @property
    def redoable(self) -> str:
        """What `redo` would do again; empty when there is nothing."""
        return self._steps.next

    def undo(self) -> str:
        """Take back the last step that changed something, and return what it was; empty when there is none.

        Steps are keeping, removing and switching a phrase, judging an attribute, adding images of a pool,
        retraining, and returning to a model.
        """
        with self.lock:
            changes_training = self._steps.last_changed_training
            undone = self._steps.take_back()
            if changes_training:
                self._train_on(self._steps.now.additions)
        if undone:
            self._notify("undone")
        return undone

    def redo(self) -> str:
        """Do again what was taken back last, and return what it was; empty when there is nothing."""
        with self.lock:
            changes_training = self._steps.next_changes_training
            redone = self._steps.take_again()
            if changes_training:
                self._train_on(self._steps.now.additions)
        if redone:
            self._notify("redone")
        return redone

    def sample_weights(self, totals: Literal["paper", "preserve"] = "paper") -> FloatArray:
        """Return a weight for each training image, for people who train elsewhere (paper, Eq. 2).

        Raises
        ------
        NotFittedError
            When nothing has been kept.
        """
        with self.lock:
            slices, labels = self.train_slices().ids, self.dataset.train.labels
        return sample_weights(labels, slices, num_classes=self.dataset.num_classes, totals=totals)

    def train_slices(self) -> Cells:
        """Return the slices of the training images by the best annotation of each class; -1 is in none.

        Raises
        ------
        NotFittedError
            When nothing has been kept.
        """
        with self.lock:
            self._require_fit()
            used = self.annotations.best_per_class()
            if not used:
                raise NotFittedError(
                    "Weights need at least one kept phrase that is switched on; call annotate first."
                )
            return self._slices(self.dataset.train, used)

    def weights_table(self, totals: Literal["paper", "preserve"] = "paper") -> dict[str, list[Any]]:
        """Return `sample_weights` with what they belong to, as columns for `pandas.DataFrame`.

        They are image (its name), path (of its file; None for other images), split ("train"), label, slice
        (such as 'square without "red"'; the class where it has no annotation) and weight.
        """
        from clarify_widget.session.weights_table import weights_table

        return weights_table(self, totals)

    def export_weights(self, path: str | Path, totals: Literal["paper", "preserve"] = "paper") -> Path:
        """Write the `weights_table` to a .csv or .parquet file, by the path's ending.

        Raises
        ------
        NotFittedError
            When nothing has been kept.
        DataError
            When the path has another ending.
        MissingDependencyError
            When it is .parquet and pyarrow is not installed.
        """
        from clarify_widget.session.weights_table import write_weights

        return write_weights(self, Path(path), totals)

    # -- images and predictions

    def similarities(self, phrase: str, split: str = "val") -> FloatArray:
        """Return (n,) cosine similarities of a phrase with every image of a split (paper, Eq. 1).

        A phrase may be joined from others by AND, OR and NOT; see `concepts.parse_phrase`.
        """
        self._require_fit()
        return self._phrases.of(phrase, self._split(split), self.dataset, self.encoder)

    def similarities_of_class(self, class_name: str, phrase: str, split: str = "val") -> FloatArray:
        """Return (m,) similarities of a phrase with the images of one class of a split, in their order."""
        memory, key = self._similar, (class_name, phrase.strip(), split)
        known = memory.get(key)
        if known is None:
            self._require_fit()
            label, part = self._label(class_name), self._split(split)
            known = self._phrases.of_class(phrase, part, label, self.dataset, self.encoder)
            memory.put(key, known)
        return known

    def embed_phrases(
        self, phrases: Sequence[str], cancelled: Callable[[], bool] | None = None
    ) -> EmbeddedPhrases:
        """Embed phrases for `similarities_of_many`, a few at a time."""
        return self._phrases.embed(phrases, self.encoder, cancelled)

    def similarities_of_many(
        self, embedded: EmbeddedPhrases, rows: IntArray, split: str = "val"
    ) -> FloatArray:
        """Return (m, n) similarities of m phrases with n rows of a split; see `suggest`."""
        self._require_fit()
        return self._phrases.of_many(embedded, self._split(split), rows, self.dataset, self.encoder)

    def direction(self, phrase: str) -> FloatArray:
        """Return (dim,) the unit row of a phrase in the similarity space; DataError for a combination."""
        return self._phrases.direction(phrase.strip(), self.encoder)

    def parts(self, phrase: str) -> tuple[str, ...]:
        """Return the phrases that a phrase is joined from by AND, OR and NOT; of another one itself."""
        return self._phrases.parts(phrase)

    def learn(self, sharpened: Iterable[SharpenedPhrase]) -> None:
        """Make phrases that were sharpened in another session known here; `sharpen` makes new ones.

        Raises
        ------
        DataError
            When a name already means something else here.
        """
        self._phrases.learn(sharpened)

    def sharpened_parts(self, phrase: str) -> tuple[SharpenedPhrase, ...]:
        """Return the sharpened phrases that a phrase is, or is joined from."""
        return self._phrases.sharpened_parts(phrase)

    def predictions(self, split: str = "val") -> IntArray:
        """Return (n,) class indices that the model under review predicts.

        Raises
        ------
        NotFittedError
            Before `fit`, or when predictions were given and not for this split.
        """
        self._require_fit()
        part = self._split(split)
        if not self.can_predict(part):
            raise NotFittedError(
                f"The model has no predictions for {split}; pass predictions={{'{split}': ...}}."
            )
        known = self._predictions.get(split)
        if known is None:
            self._predictions[split] = known = predict(part, self.head, self.dataset.num_classes)
        return known

    def confidences(self, split: str = "val") -> FloatArray | None:
        """Return (n,) probabilities of the classes that the model under review predicts.

        None where it says which class, but not how sure it is. Raises as `predictions`.
        """
        predictions = self.predictions(split)
        if split not in self._confidences:
            self._confidences[split] = confidences_of(self._split(split), self.head, predictions)
        return self._confidences[split]

    def correct(self, split: str = "val") -> BoolArray:
        """Return (n,) whether the model under review is right."""
        correct: BoolArray = self.predictions(split) == self._split(split).labels
        return correct

    def image(self, index: int, split: str = "val", *, least_side: int | None = None) -> PIL.Image.Image:
        """Open one image of a split.

        Parameters
        ----------
        index, split
            Which one.
        least_side
            For a small picture: the image may come smaller than it is, but no side below this many pixels,
            where that is quicker.

        Raises
        ------
        DataError
            When the data set has no images, or not that many.
        ImageReadError
            When the image cannot be read.
        """
        part = self._split(split)
        if part.images is None:
            raise DataError(f"{self.dataset.name} has no images, only embeddings; pass images= to see them.")
        if not 0 <= index < len(part):
            raise DataError(f"{split} has images 0 to {len(part) - 1}; got {index}.")
        return part.images[index] if least_side is None else reduced_image(part.images, index, least_side)

    def check_rows(self, rows: Iterable[int], split: str = "val") -> set[int]:
        """Return rows of a split as plain numbers; DataError when there is no such image."""
        found, size = set(whole_numbers(rows)), len(self._split(split))
        outside = [row for row in found if not 0 <= row < size]
        if outside:
            raise DataError(f"{split} has images 0 to {size - 1}; got {min(outside)}.")
        return found

    def table(
        self, rows: Iterable[int] | None = None, split: str = "val", phrase: str = ""
    ) -> dict[str, list[Any]]:
        """Return what is known of images as columns, ready for `pandas.DataFrame` and its like.

        Parameters
        ----------
        rows
            Of the split, in the order wanted; None means all.
        split
            "train", "val" or "test".
        phrase
            A phrase to give the similarities of; empty means none.

        Returns
        -------
        index, name, path (None for an image that is not a file), label, predicted, confidence, correct, group
        and similarity; confidence, group and similarity only where they are known.

        Raises
        ------
        DataError
            When there is no such split, or no such image in it.
        NotFittedError
            When the model has no predictions for the split.
        """
        wanted = list(range(len(self._split(split)))) if rows is None else whole_numbers(rows)
        self.check_rows(wanted, split)
        return table_of(self, np.asarray(wanted, dtype=np.int64), split, phrase)

    def image_path(self, index: int, split: str = "val") -> str | None:
        """Return the path of an image that is a file; None for one that is not."""
        path = getattr(self._split(split).images, "path", None)
        return None if path is None else path(index)

    def image_name(self, index: int, split: str = "val") -> str:
        """Return what people call an image of a split."""
        images = self._split(split).images
        return f"{split} {index}" if images is None else images.name(index)

    def unreadable(self) -> tuple[UnreadableImage, ...]:
        """Return the images of all splits that were left out because they cannot be read."""
        return tuple(image for split in self.dataset.splits() for image in split.unreadable)

    # -- keeping

    def save(self, path: str | Path) -> Path:
        """Save everything but the images to a folder, as safetensors and JSON; see `load`."""
        from clarify_widget.session.saved import save_session

        self._folder = save_session(self, Path(path))
        return self._folder

    def autosave(self, folder: str | Path) -> Path:
        """Keep the session in a folder from now on: every change is on disk when its verb returns.

        Where the folder holds what was done with the same data and model before, as after a kernel that died,
        the session first goes on from there; so a notebook that calls this can simply be run again. A folder
        that cannot be written to for a while is logged, and the session goes on; see `saved`.

        Parameters
        ----------
        folder
            New, empty, or with a saved session; see `load`. Images are not copied to it.

        Raises
        ------
        NotFittedError
            Before `fit`.
        SavedSessionError
            When the folder cannot be written to, or holds other files, a session over other data or another
            model, or other work than this session has.
        """
        from clarify_widget.session.autosave import Autosave
        from clarify_widget.session.saved import go_on_from, holds_session

        path = Path(folder).absolute()
        self._require_fit()
        if holds_session(path) and (self._folder is None or path != self._folder.absolute()):
            go_on_from(self, path)
        if self._autosave is not None:
            self._autosave.stop()
        self._autosave = Autosave(self, path, told=lambda: self._notify("saved"))
        self._folder = path
        self._notify("saved")
        return path

    @property
    def saved(self) -> Saved | None:
        """Where `autosave` keeps the session, and whether its latest change is there; None without it."""
        return None if self._autosave is None else self._autosave.saved

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        dataset: Dataset | None = None,
        encoder: str | Encoder | None = None,
        cache_dir: str | Path | None = None,
        device: str | None = None,
    ) -> Session:
        """Open a saved session.

        Parameters
        ----------
        path
            The folder that `save` wrote.
        dataset
            The data set with its images; without it, images are opened from the paths that were saved.
        encoder
            The encoder, when it was an object rather than a name that `encoders.load` knows.
        cache_dir
            Where embeddings of images that come later, those of a pool, are kept between runs.
        device
            Where a named encoder runs, "cpu" or "cuda"; None chooses.

        Raises
        ------
        SavedSessionError
            When the folder is not a saved session, is damaged, or belongs to other data.
        """
        from clarify_widget.session.saved import load_session

        return load_session(Path(path), dataset=dataset, encoder=encoder, cache_dir=cache_dir, device=device)

    def restore(
        self,
        folder: Path,
        tried: Iterable[PhraseScore],
        steps: Steps,
        reviews: Iterable[Review],
    ) -> None:
        """Put a fitted session where the one that a folder holds was; `load` and `autosave` use it."""
        with self.lock:
            self._require_fit()
            self._reviews = {review.pool: review for review in reviews}
            self._tried = Tried(tried)
            self._steps = steps
            self._folder = folder
            if steps.now.additions:
                self._train_on(steps.now.additions)
        self._notify("fitted")

    def report(self, path: str | Path) -> Path:
        """Write one self-contained HTML file in which phrases and thresholds can still be explored."""
        from clarify_widget.session.report import write_report

        return write_report(self, Path(path))

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call back after every change, outside the lock; returns what ends the subscription."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    # -- inside

    def _notify(self, event: Event) -> None:
        for callback in tuple(self._subscribers):
            callback(event)

    def _take(self, what: str, **changed: Any) -> None:
        self._steps.take(what, replace(self._steps.now, **changed))

    def _score_or_none(self, class_name: str, phrase: str) -> PhraseScore | None:
        try:
            return score_phrase(self, class_name, phrase)
        except ScoreError:
            self.similarities(phrase)  # raises PhraseError for a phrase that could not be sliced by either
            return None

    def _kept(self, class_name: str, phrase: str, to_be: str) -> Annotation:
        for kept in self.annotations.of_class(class_name):
            if kept.phrase == phrase:
                return kept
        raise DataError(f"“{phrase}” is not kept for {class_name}, so it cannot be {to_be}.")

    def _recorder(
        self, annotations: Annotations, progress: Callable[[RetrainProgress], None] | None
    ) -> CurveRecorder:
        val = self.dataset.val
        slices = self._slices(val, annotations, allow_empty=True)
        cells = with_whole_classes(slices, val, self.class_names)
        return CurveRecorder(val, cells, progress)

    def _kept_phrases(self, class_name: str) -> set[str]:
        return {annotation.phrase for annotation in self.annotations.of_class(class_name)}

    def _require_fit(self) -> None:
        if not self._fitted:
            raise NotFittedError("The session has no model yet; call fit() first.")

    def _split(self, name: str) -> Split:
        for split in self.dataset.splits():
            if split.name == name:
                return split
        raise DataError(
            f"{self.dataset.name} has no {name!r} split; it has {[s.name for s in self.dataset.splits()]}."
        )

    def _label(self, class_name: str) -> int:
        if class_name not in self.class_names:
            raise UnknownClassError(
                f"There is no class {class_name!r}; there are {', '.join(map(repr, self.class_names[:10]))}"
                f"{' and more' if len(self.class_names) > 10 else ''}.",
            )
        return self.class_names.index(class_name)

    def _retrained_head(self) -> LinearHead:
        if self.retrained is None:
            raise NotFittedError("Nothing has been retrained yet; keep a phrase and call retrain first.")
        return self.retrained

    def _slices(self, split: Split, annotations: Annotations, *, allow_empty: bool = False) -> Cells:
        return slices_of(split, self.class_names, annotations, self.similarities, allow_empty=allow_empty)

    def _train(
        self,
        objective: str,
        slices: IntArray | None = None,
        progress: Callable[[FitProgress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> LinearHead:
        train = self.dataset.train
        return train_head(
            self.training_features,
            train.labels,
            objective,
            slices=slices,
            groups=train.groups,
            l2=self.l2,
            num_classes=self.dataset.num_classes,
            initial=self.head if isinstance(self.head, LinearHead) else None,
            progress=progress,
            cancelled=cancelled,
        )
