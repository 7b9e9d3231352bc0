"""Yours: the steps, in order.

A step takes what it needs from the run's folder and leaves its result there, so that any of them can run in a process,
or on a machine, of its own. One that also takes a shard does its work in `runs.shards` parts, each of which can.
"""

import shutil
import time
from collections.abc import Callable
from datetime import date

import numpy as np
import polars as pl
import structlog
from numpy.typing import NDArray
from pydantic_settings import SettingsConfigDict

from . import evaluate as evaluation
from . import images as imaging
from . import learning
from . import model as modelling
from .ops import holdout, published, runs
from .ops import review as reviewing
from .ops.fingerprint import hashes_of_texts
from .ops.ingest import checked, fetch, join_rejected
from .ops.problems import Problem
from .ops.published import Table
from .ops.runs import Run
from .ops.settings import StageSettings
from .ops.shards import Shard
from .ops.training import trains
from .ops.verdicts import enforce
from .sample import make_up

# What is published, a row for each image without a label: which it gets, how sure that is, and its rank, 1 being the
# least sure, which a person should look at first.
TABLES = (Table("image_labels", key=("image",), order_by=("rank",)),)

CHECKPOINT = "training"  # the folder from which training goes on after a kill
SHARED = 60  # seconds after which a checkpoint goes to where machines share what runs leave
TAKEN_UP = 5  # of the last runs: whose checkpoints are looked for
log = structlog.get_logger()


class Settings(StageSettings):
    """All that `<stage>/settings.toml` may hold."""

    model_config = SettingsConfigDict(extra="forbid")

    images: imaging.ImageSettings = imaging.ImageSettings()
    model: modelling.ModelSettings = modelling.ModelSettings()
    gate: evaluation.GateSettings = evaluation.GateSettings()


def load(run: Run, settings: Settings) -> None:
    """Fetch the table of images as it is."""
    fetch(run, settings.images, lambda: make_up(settings.images.sample, run.record.date), by="image")


def check(run: Run, settings: Settings, shard: Shard) -> None:
    """Read each image; set aside what is none, or has a label that there is not."""
    reader = imaging.Reader(settings.images)
    schema = imaging.schema(date.today(), settings.images, reader)
    known = checked(run, settings.images, schema, shard)
    np.save(run.path("pixels.npy", shard), reader.pixels(known[settings.images.holder]))
    images = imaging.known_before(known.drop(settings.images.holder), run.record.date)
    images.write_parquet(run.path("images.parquet", shard))
    run.count("images", len(images))
    run.count("images_labelled", len(images) - images["label"].null_count())


def prepare(run: Run, settings: Settings) -> None:
    """Part the images that have a label from those that are to get one, both in the order of their names."""
    join_rejected(run, settings.images)
    images = pl.concat([pl.read_parquet(file) for file in run.paths("images.parquet")]).with_row_index("place")
    pixels = np.concatenate([np.load(file) for file in run.paths("pixels.npy")])
    images = images.sort("image")
    if images.is_empty():
        raise Problem(f"{settings.images.source}: no image before {run.record.date}")
    for name, rows in (
        ("labelled", images.filter(pl.col("label").is_not_null())),
        ("unlabelled", images.filter(pl.col("label").is_null())),
    ):
        rows.drop("place").write_parquet(run.path(f"{name}.parquet"))
        np.save(run.path(f"{name}.npy"), pixels[rows["place"].to_numpy()])
    counts = images["label"].drop_nulls().value_counts().sort("count", "label", descending=[True, False])
    run.bars("Labelled images, by label", dict(counts.head(evaluation.SHOWN).iter_rows()))


@trains("model")
def train(run: Run, settings: Settings) -> None:
    """Train the network on the labelled images that are not held out; after a kill, from where it was."""
    images, pixels = _labelled(run)
    device = modelling.device_of(settings.model.device, settings.resources.of(train.__name__).gpu)
    held_out = _held_out(run, settings, images)
    known = images.filter(~held_out)
    labels = known["label"].unique().sort().to_list()
    if len(labels) < 2:
        told = f"all are {labels[0]!r}" if labels else "there are none"
        raise Problem(
            f"{settings.images.source}: {len(known):,} labelled images to learn from, and {told}: two labels are needed"
        )
    mine = pixels[(~held_out).to_numpy()]
    codes = _codes(known["label"], labels)
    stops = learning.split(hashes_of_texts("validation:" + known["image"]), settings.model.validation_share)
    examples = learning.Examples(mine[~stops], codes[~stops])
    validation = learning.Examples(mine[stops], codes[stops])
    spec = modelling.Spec.of(labels, examples.pixels, settings.model)
    key = learning.key_of(examples, validation, spec, settings.model, device)
    checkpoint = learning.Checkpoint(run.path(CHECKPOINT), key, _seldom(run.share))
    _take_up(run, settings, checkpoint)
    model, history = learning.learn(examples, validation, spec, settings.model, device, checkpoint)
    model.save(run.path("model"))
    run.remove(CHECKPOINT)
    run.count("images_learnt_from", len(examples.codes))
    run.count("epochs", len(history.validation))
    run.count("best_epoch", history.best + 1)
    curve = {"training": history.training, "validation": history.validation}
    run.lines("Learning curve: log loss, by epoch", range(1, len(history.validation) + 1), curve)


@trains()
def evaluate(run: Run, settings: Settings) -> None:
    """Measure the model on the images that were held out."""
    images, pixels = _labelled(run)
    held_out = _held_out(run, settings, images)
    model = modelling.Model.load(run.path("model"))
    labels = model.spec.labels
    known, judged = images.filter(~held_out), images.filter(held_out)
    codes, asked = _codes(known["label"], labels), _codes(judged["label"], labels)
    mine, theirs = pixels[(~held_out).to_numpy()], pixels[held_out.to_numpy()]
    predicted = evaluation.baselines(mine, codes, theirs, len(labels), settings.model.threads)
    predicted[evaluation.MODEL] = model.predict(theirs, settings.model.threads)
    scores = {name: evaluation.score(asked, each) for name, each in predicted.items()}
    for metric, better in evaluation.METRICS.items():
        values = {name: found[metric] for name, found in scores.items()}
        run.measure(metric, values.pop(evaluation.MODEL), better=better, baselines=values)
    chosen = [labels[code] for code in predicted[evaluation.MODEL].argmax(1)]
    truth = judged["label"].to_list()
    run.count("held_out_images", len(judged))
    run.record.facts["worst_recall"] = evaluation.worst_recall(truth, chosen)
    run.matrix("Confusion: held-out images, by their label and the one they got", evaluation.confusion(truth, chosen))


def review(run: Run, settings: Settings) -> None:
    """See how many images have got from people the label that had been published for them."""
    labelled = pl.read_parquet(run.path("labelled.parquet"))
    if "labelled_at" not in labelled.columns:
        return  # nobody knows which labels came since
    labelled = labelled.filter(pl.col("labelled_at").is_not_null())
    horizon = settings.images.review_days
    for day in reviewing.days(run, settings, "image_labels", labelled, "labelled_at", horizon=horizon):
        rows = pl.concat(day.rows("label"))
        both = day.happened.select("image", truth="label").join(rows, on="image")
        if both.is_empty():
            continue  # nothing can be measured
        before = labelled.filter(pl.col("labelled_at").dt.date() < day.date)["label"].mode().sort()
        truth = both["truth"].to_numpy()
        values = {evaluation.MAJORITY: float(np.mean(truth == before[0]))} if len(before) else {}
        accuracy = float(np.mean(truth == both["label"].to_numpy()))
        day.turned_out("accuracy", accuracy, better="higher", baselines=values, weight=len(both))
    reviewing.judge(run, settings)


def gate(run: Run, settings: Settings) -> None:
    """Let nothing pass that is not good enough."""
    metrics = {name: run.metric(name) for name in evaluation.METRICS}
    found = run.record.facts.get("worst_recall")
    worst = (found[0], found[1]) if found else None
    enforce(run, evaluation.judge(int(run.record.numbers["held_out_images"]), metrics, worst, settings.gate))


def label(run: Run, settings: Settings, shard: Shard) -> None:
    """Label the images of a shard."""
    model = modelling.Model.load(run.path("model"))
    images = pl.read_parquet(run.path("unlabelled.parquet"))
    mine = shard.of(len(images))
    pixels = np.load(run.path("unlabelled.npy"), mmap_mode="r")
    predicted = model.predict(pixels[mine], settings.model.threads)
    chosen = [model.spec.labels[code] for code in predicted.argmax(1)]
    rows = images[mine].select(
        "image",
        pl.Series("label", chosen, pl.String),
        pl.Series("probability", predicted.max(1, initial=0), pl.Float64),
    )
    rows.write_parquet(run.path("labels.parquet", shard))


def publish(run: Run, settings: Settings) -> None:
    """Put the day's rows in place, all at once."""
    labels = pl.concat([pl.read_parquet(file) for file in run.paths("labels.parquet")]).sort("probability", "image")
    rows = labels.select("image", pl.int_range(1, pl.len() + 1).alias("rank"), "label", "probability")
    published.publish(run, settings, {"image_labels": rows})
    counts, edges = np.histogram(rows["probability"], bins=20, range=(0, 1))
    run.bars(
        "Images, by how sure their label is", {f"{edge:.2f}": int(n) for edge, n in zip(edges, counts, strict=False)}
    )


def _labelled(run: Run) -> tuple[pl.DataFrame, imaging.Pixels]:
    """The images that have a label, and their pixels."""
    return pl.read_parquet(run.path("labelled.parquet")), np.load(run.path("labelled.npy"), mmap_mode="r")


def _held_out(run: Run, settings: Settings, images: pl.DataFrame) -> pl.Series:
    """Which images the model is measured on, and does not see; each stays on its side from day to day."""
    if images.is_empty():
        raise Problem(f"{settings.images.source}: no image has a label, so there is nothing to learn from")
    return holdout.by_key(run, images["image"], settings.gate.holdout_share)


def _codes(labels: pl.Series, known: list[str] | tuple[str, ...]) -> NDArray[np.int64]:
    """The place of each label among the known ones, or -1."""
    codes = labels.replace_strict(list(known), range(len(known)), default=-1, return_dtype=pl.Int64)
    return codes.to_numpy()


def _seldom(share: Callable[[], None]) -> Callable[[], None]:
    """The same, once in SHARED seconds: what is trained in less is begun anew where machines share what runs leave."""
    last = time.monotonic()

    def do() -> None:
        nonlocal last
        if time.monotonic() - last > SHARED:
            share()
            last = time.monotonic()

    return do


def _take_up(run: Run, settings: Settings, checkpoint: learning.Checkpoint) -> None:
    """Go on from the checkpoint of an earlier run, where that was killed in the middle of the very same training."""
    if checkpoint.is_of(checkpoint.folder):
        log.info("train", goes_on="from the checkpoint of this run")
        return
    for name in reversed(runs.names(settings.runs)[-TAKEN_UP:]):
        if name != run.record.run_id and checkpoint.is_of(folder := Run.open(settings.runs, name).path(CHECKPOINT)):
            shutil.copytree(folder, checkpoint.folder, dirs_exist_ok=True)
            log.info("train", goes_on=f"from the checkpoint of run {name}")
            return


Step = Callable[..., None]  # of the run, the settings and, if it does its work in shards, a shard
STEPS: tuple[Step, ...] = (load, check, prepare, train, evaluate, review, gate, label, publish)
