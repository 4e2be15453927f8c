"""The loop in a shell: each verb prints JSON, what it is doing goes to the standard error."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clarify_widget.errors import ClarifyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clarify_widget.datasets.dataset import Dataset
    from clarify_widget.session import Session

    Json = dict[str, Any]

_DRAWN = ("sprites", "shorebirds")
_READ = ("folder", "frame", "waterbirds", "celeba", "imagenet", "wilds")
_SOURCE = (
    f"a folder that --save wrote, or a data set: {', '.join(_DRAWN)}, "
    f"{', '.join(f'{kind}:PATH' for kind in _READ)}. A frame is a CSV file with the columns image "
    "(paths from its folder), label and, where they are known, split and group"
)
_INTERRUPTED = 130  # as shells have it: 128 and the number of SIGINT

EXAMPLES = """\
clarify-widget embed sprites --save session
clarify-widget score session square red blue
clarify-widget suggest session square -k 5
clarify-widget retrain session --keep square red --keep oval blue --save session
clarify-widget report session report.html
"""
"""The whole loop; they are run in this order by a test."""

MORE_EXAMPLES = """\
clarify-widget embed folder:photos --encoder ViT-L-14/openai --cache rows --save session
clarify-widget embed imagenet:ILSVRC2012 --v2 imagenetv2 --classes "cauliflower,golf ball" --save session
clarify-widget embed folder:/data/photos --cache /data/rows --engine ray --address 10.0.0.1:6379
clarify-widget score frame:photos.csv dog "grass, not sand" --cache rows
clarify-widget suggest waterbirds:waterbirds --cache rows --device cuda
clarify-widget retrain session --annotations kept.json --objective worst_slice --weights weights.csv
clarify-widget report session report.html --device cpu
"""
"""For data that a test does not have; it checks that they are understood."""

_EXIT = """\
exit status: 0 when it went well, 1 when something about the data, phrases or files did not (one line on the
standard error says what), 2 when the command was not understood, 130 when it was interrupted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    _check(parser, asked)
    progress = asked.progress = _Progress()
    try:
        answer = asked.verb(asked)
    except (ClarifyError, OSError) as error:
        return progress.fail(str(error), 1)
    except KeyboardInterrupt:
        return progress.fail(_interrupted(asked), _INTERRUPTED)
    print(json.dumps(answer, indent=2, ensure_ascii=False, allow_nan=False))  # noqa: T201
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clarify-widget",
        description="Fix what an image classifier gets wrong, in words. Every verb prints JSON.",
        epilog=f"examples:\n{_indented(EXAMPLES)}\n\n{_EXIT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    embed = _add(verbs, "embed", _embed, "embed the images, train the first head and say how right it is")
    embed.add_argument(
        "--engine",
        choices=("local", "ray"),
        help="ray: embed with the workers of a Ray cluster, into --cache on storage that all of them see "
        "(default: local, this machine alone)",
    )
    embed.add_argument(
        "--address", help="of the Ray cluster, such as 10.0.0.1:6379 (default: the one of this machine)"
    )
    embed.add_argument(
        "--workers",
        type=_at_least_one,
        metavar="N",
        help="Ray workers (default: one a GPU, or one a machine)",
    )
    score = _add(verbs, "score", _score, "score phrases on the images of a class that it gets wrong")
    score.add_argument("class_name", metavar="CLASS")
    score.add_argument("phrases", metavar="PHRASE", nargs="+")
    suggest = _add(verbs, "suggest", _suggest, "try many phrases for a class and print the best")
    suggest.add_argument("class_name", metavar="CLASS", nargs="?", help="default: the one that is worst")
    suggest.add_argument("-k", type=_at_least_one, default=10, help="how many phrases (default: 10)")
    retrain = _add(verbs, "retrain", _retrain, "train the last layer again by the phrases that are kept")
    retrain.add_argument(
        "--keep", nargs=2, action="append", default=[], metavar=("CLASS", "PHRASE"), help="may be repeated"
    )
    retrain.add_argument("--annotations", type=Path, metavar="FILE", help="keep those of a JSON file")
    retrain.add_argument("--objective", default="slice_balanced", help="default: slice_balanced")
    retrain.add_argument(
        "--weights", type=Path, metavar="FILE", help="write the sample weights, .csv or .parquet"
    )
    report = _add(verbs, "report", _report, "write one HTML file in which thresholds can still be dragged")
    report.add_argument("file", type=Path, metavar="FILE")
    return parser


def _add(verbs: Any, name: str, verb: Callable[[argparse.Namespace], Json], help_: str) -> Any:
    """Add a verb with what all of them take."""
    start = f"clarify-widget {name} "
    examples = [line for line in (EXAMPLES + MORE_EXAMPLES).splitlines() if line.startswith(start)]
    parser = verbs.add_parser(
        name,
        help=help_,
        description=f"{help_[0].upper()}{help_[1:]}.",
        epilog=f"examples:\n{_indented(*examples)}\n\n{_EXIT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(verb=verb, engine="local", address=None, workers=None)
    parser.add_argument("source", metavar="SOURCE", help=_SOURCE)
    parser.add_argument(
        "--classes",
        type=_names,
        metavar="NAME,NAME",
        help="of imagenet: the classes to read, by WordNet ID or name (default: all 1,000)",
    )
    parser.add_argument(
        "--v2", type=Path, metavar="PATH", help="of imagenet: the folder of ImageNet-V2, the test split"
    )
    parser.add_argument(
        "--encoder", help="a name as encoders.load takes it (default: demo, or the saved one)"
    )
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keep embeddings there between runs")
    parser.add_argument("--device", help="cpu or cuda (default: what there is)")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="save the session when it is done")
    return parser


def _check(parser: argparse.ArgumentParser, asked: argparse.Namespace) -> None:
    """End with status 2 where options do not belong together."""
    kind = asked.source.partition(":")[0]
    if (asked.classes, asked.v2) != (None, None) and kind != "imagenet":
        parser.error("--classes and --v2 are of imagenet:PATH")
    if asked.engine == "local" and (asked.address, asked.workers) != (None, None):
        parser.error("--address and --workers are of a Ray cluster: give --engine ray with them")
    if asked.engine == "ray" and asked.cache is None:
        parser.error("--engine ray needs --cache FOLDER, on storage that all workers see")
    if asked.engine == "ray" and asked.source not in _DRAWN and kind not in _READ:
        parser.error("--engine ray embeds a data set; a saved session has its embeddings already")


def _embed(asked: argparse.Namespace) -> Json:
    from clarify_widget.session.presentation import class_json

    session = _session(asked)
    evaluation = session.evaluation()
    return {
        "dataset": session.dataset.name,
        "encoder": session.encoder.name,
        "images": {split.name: len(split) for split in session.dataset.splits()},
        "unreadable": [f"{image.name}: {image.reason}" for image in session.unreadable()],
        "average": evaluation.average,
        "worst_group": evaluation.worst_group,
        "classes": [class_json(summary) for summary in session.classes()],
        **_saved(session, asked),
    }


def _score(asked: argparse.Namespace) -> Json:
    from clarify_widget.session.presentation import score_json

    session = _session(asked)
    scores = [score_json(session.score(asked.class_name, phrase)) for phrase in asked.phrases]
    return {"scores": scores, **_saved(session, asked)}


def _suggest(asked: argparse.Namespace) -> Json:
    from clarify_widget.session.presentation import score_json

    session = _session(asked)
    class_name = asked.class_name or session.classes()[0].name
    found = session.suggest(class_name, asked.k)
    return {
        "class_name": class_name,
        "sentence": found.sentence,
        "suggestions": [
            score_json(row.scored) | {"p_value": row.p_value, "above_noise": row.above_noise}
            for row in found.rows
        ],
        **_saved(session, asked),
    }


def _retrain(asked: argparse.Namespace) -> Json:
    from clarify_widget.session.presentation import annotations_json, comparison_json

    session = _session(asked)
    if asked.annotations is not None:
        session.load_annotations(asked.annotations)
    for class_name, phrase in asked.keep:
        session.annotate(class_name, phrase)
    comparison = session.retrain(asked.objective)
    return {
        "annotations": annotations_json(session.annotations),
        "comparison": comparison_json(comparison),
        "weights": None if asked.weights is None else str(session.export_weights(asked.weights)),
        **_saved(session, asked),
    }


def _report(asked: argparse.Namespace) -> Json:
    session = _session(asked)
    return {"report": str(session.report(asked.file)), **_saved(session, asked)}


def _session(asked: argparse.Namespace) -> Session:
    """Return the fitted session that a verb is about."""
    from clarify_widget.session import Session

    dataset = _dataset(asked)
    if dataset is None:
        return Session.load(asked.source, encoder=asked.encoder, cache_dir=asked.cache, device=asked.device)
    session = Session(dataset, asked.encoder or "demo", cache_dir=asked.cache, device=asked.device)
    if asked.engine == "ray":
        _embed_by_workers(session, asked)
    session.fit(asked.progress.show)
    return session


def _embed_by_workers(session: Session, asked: argparse.Namespace) -> None:
    """Put the rows that the session will look for into its cache folder."""
    from clarify_widget.encoders import OpenClipEncoder, embed_to_cache
    from clarify_widget.encoders.ray_data import joined

    encoder = session.encoder
    assert isinstance(encoder, OpenClipEncoder)  # as everything that has a name is
    with redirect_stdout(sys.stderr), joined(asked.address):  # Ray prints what its machines say
        for split in session.dataset.splits():
            if split.images is not None:
                embed_to_cache(
                    split.images,
                    [asked.encoder or "demo"],
                    asked.cache,
                    device=encoder.device.type,  # rows of another kind of device would not be found
                    engine="ray",
                    workers=asked.workers,
                )


def _dataset(asked: argparse.Namespace) -> Dataset | None:
    """Return the data set of that kind; None for the folder of a session."""
    from clarify_widget import datasets

    kind, _, path = asked.source.partition(":")
    if asked.source in _DRAWN:
        drawn: Dataset = getattr(datasets, asked.source)()
        return drawn
    if kind not in _READ or not path:
        return None
    if kind == "folder":
        return datasets.from_folder(path)
    if kind == "frame":
        return _frame(Path(path))
    if kind == "imagenet":
        return datasets.imagenet(path, v2=asked.v2, classes=asked.classes)
    read: Dataset = getattr(datasets, kind)(path)
    return read


def _frame(path: Path) -> Dataset:
    from clarify_widget.datasets.frames import from_dataframe, read_csv

    table = read_csv(path)
    split, group = (column if column in table.columns else None for column in ("split", "group"))
    return from_dataframe(table, image="image", split=split, group=group, root=path.parent, name=path.stem)


def _saved(session: Session, asked: argparse.Namespace) -> Json:
    return {"session": None if asked.save is None else str(session.save(asked.save))}


class _Progress:
    """One line on the standard error that is written over."""

    def __init__(self) -> None:
        self._open = False

    def show(self, what: str, done: float) -> None:
        """Say what is done, and how much of it: 0..1."""
        self._open = done < 1
        print(f"\r{done:4.0%} {what}", end="" if self._open else "\n", file=sys.stderr, flush=True)  # noqa: T201

    def fail(self, reason: str, status: int) -> int:
        """Say why it ends, on a line of its own, and return the exit status."""
        start = "\n" if self._open else ""
        print(f"{start}clarify-widget: {' '.join(reason.split())}", file=sys.stderr)  # noqa: T201
        return status


def _interrupted(asked: argparse.Namespace) -> str:
    if asked.cache is None:
        return "interrupted; with --cache FOLDER, images that were embedded are not embedded again"
    return f"interrupted; what was embedded is in {asked.cache}, and the same command goes on from there"


def _indented(*lines: str) -> str:
    return "\n".join(f"  {line}" for text in lines for line in text.splitlines())


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _at_least_one(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more; got {count}")
    return count


if __name__ == "__main__":
    sys.exit(main())
