"""Yours: how the network learns; a loop, which can be stopped anywhere and is then taken up again.

A plain loop, as it is all that is needed: what a framework would add to PyTorch are seven more packages, and worker
processes that want shared memory.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .images import Pixels
from .model import AT_ONCE, Codes, Model, ModelSettings, Spec, in_threads, inputs, network
from .ops.progress import track

STATE, KEY = "state.pt", "key.txt"


@dataclass(frozen=True)
class Examples:
    """Images with their labels' codes: shapes (images, channels, size, size) and (images,)."""

    pixels: Pixels
    codes: Codes


@dataclass
class History:
    """How training went, epoch by epoch."""

    training: list[float] = field(default_factory=list)  # mean log loss of the epoch's steps, with dropout
    validation: list[float] = field(default_factory=list)  # log loss of the validation images after it

    @property
    def best(self) -> int:
        """The epoch with the least validation loss, from 0; the first of several."""
        return int(np.argmin(self.validation))

    def over(self, settings: ModelSettings) -> bool:
        """Whether training ends here."""
        done = len(self.validation)
        return done >= settings.epochs or (done > 0 and done - 1 - self.best >= settings.patience)


@dataclass(frozen=True)
class Checkpoint:
    """A folder from which training goes on, if it is of the same examples, settings and code.

    Attributes:
        folder: where it is.
        key: of what is learnt.
        shared: what to do after each epoch, such as to copy the folder.
    """

    folder: Path
    key: str
    shared: Callable[[], None] = lambda: None

    def is_of(self, folder: Path) -> bool:
        """Whether a folder holds a checkpoint of the same training."""
        key = folder / KEY
        return key.exists() and key.read_text() == self.key and (folder / STATE).exists()

    def save(self, state: dict[str, Any]) -> None:
        """Keep a state; a crash leaves the one before or this one, never half of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.is_of(self.folder):
            (self.folder / STATE).unlink(missing_ok=True)
            (self.folder / KEY).write_text(self.key)
        partial = self.folder / f"{STATE}.partial"
        torch.save(state, partial)
        partial.replace(self.folder / STATE)

    def load(self) -> dict[str, Any] | None:
        """The state that was kept, if it is of the same training."""
        if not self.is_of(self.folder):
            return None
        found: dict[str, Any] = torch.load(self.folder / STATE, map_location="cpu", weights_only=True)
        return found


def key_of(examples: Examples, validation: Examples, spec: Spec, settings: ModelSettings, device: torch.device) -> str:
    """What tells one training from another: a hash of all that its result depends on, this package's code included."""
    told = json.dumps([asdict(spec), settings.model_dump(mode="json"), torch.__version__, device.type])
    found = hashlib.sha256(told.encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        found.update(file.read_bytes())
    for array in (examples.pixels, examples.codes, validation.pixels, validation.codes):
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def learn(
    examples: Examples,
    validation: Examples,
    spec: Spec,
    settings: ModelSettings,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
) -> tuple[Model, History]:
    """Train a network until the validation loss gets no better; where a checkpoint is there, from there on.

    Args:
        examples: to learn from.
        validation: others, which tell when to stop, and which epoch's weights are taken.
        spec: of the network.
        settings: the model's.
        device: where to compute.
        checkpoint: where to leave a state from time to time.

    Returns:
        The model with the weights of the best epoch, and how training went.
    """
    with _reproducible(settings, device):
        training = _Training(spec, settings, device)
        if checkpoint and (state := checkpoint.load()):
            training.restore(state)
        while not training.history.over(settings):
            for _ in training.epoch(examples):
                if checkpoint and training.batch % settings.checkpoint_batches == 0:
                    checkpoint.save(training.state())
            training.end_epoch(validation)
            if checkpoint:
                checkpoint.save(training.state())
                checkpoint.shared()
        return Model(spec, training.best), training.history


class _Training:
    """A network on its way."""

    def __init__(self, spec: Spec, settings: ModelSettings, device: torch.device) -> None:
        self._spec, self._settings, self._device = spec, settings, device
        self._net = network(spec).to(device)
        self._optimizer = torch.optim.AdamW(
            self._net.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._mixed = settings.mixed_precision and device.type == "cuda"
        self._half = torch.bfloat16 if self._mixed and torch.cuda.is_bf16_supported() else torch.float16
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._mixed and self._half == torch.float16)
        self.batch = 0  # those that are done of the epoch
        self._loss = 0.0  # summed over the images of these
        self.history = History()
        self.best: dict[str, Tensor] = {}

    def epoch(self, examples: Examples) -> Iterator[None]:
        """Learn from each image once, in an order that the seed and the epoch's number give; stops after each batch."""
        number = len(self.history.validation)
        order = np.random.default_rng((self._settings.seed, number)).permutation(len(examples.codes))
        batches = np.split(order, range(self._settings.batch, len(order), self._settings.batch))
        said = f"epoch {number + 1} of {self._settings.epochs}"
        if self.history.validation:
            said += f", validation loss {min(self.history.validation):.4f}"
        self._net.train()
        left = batches[self.batch :]
        for chosen in track(left, said, total=sum(map(len, left))):
            random = np.random.default_rng((self._settings.seed, number, self.batch))
            self._step(shifted(examples.pixels[chosen], self._settings.shift, random), examples.codes[chosen])
            self.batch += 1
            yield
        self.history.training.append(self._loss / len(order))
        self.batch, self._loss = 0, 0.0

    def end_epoch(self, validation: Examples) -> None:
        """Measure, and keep the weights if there were none better."""
        self._net.eval()
        total = 0.0
        with torch.inference_mode():
            for start in range(0, len(validation.codes), AT_ONCE):
                some = slice(start, start + AT_ONCE)
                total += self._loss_of(validation.pixels[some], validation.codes[some], reduction="sum").item()
        self.history.validation.append(total / len(validation.codes))
        if self.history.best == len(self.history.validation) - 1:
            self.best = {name: value.detach().cpu().clone() for name, value in self._net.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """All that goes on from here depends on."""
        return {
            "weights": self._net.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "random": torch.get_rng_state(),
            "random_gpu": torch.cuda.get_rng_state() if self._device.type == "cuda" else None,
            "batch": self.batch,
            "loss": self._loss,
            "history": asdict(self.history),
            "best": self.best,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._net.load_state_dict(state["weights"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"])
        if state["random_gpu"] is not None:
            torch.cuda.set_rng_state(state["random_gpu"])
        self.batch, self._loss = state["batch"], state["loss"]
        self.history, self.best = History(**state["history"]), state["best"]

    def _step(self, pixels: Pixels, codes: Codes) -> None:
        self._optimizer.zero_grad()
        loss = self._loss_of(pixels, codes)
        self._scaler.scale(loss).backward()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._loss += loss.item() * len(codes)

    def _loss_of(self, pixels: Pixels, codes: Codes, reduction: str = "mean") -> Tensor:
        wanted = torch.tensor(codes, device=self._device)
        with torch.autocast(self._device.type, dtype=self._half, enabled=self._mixed):
            logits = self._net(inputs(pixels, self._spec, self._device))
            return nn.functional.cross_entropy(logits, wanted, reduction=reduction)


@contextmanager
def _reproducible(settings: ModelSettings, device: torch.device) -> Iterator[None]:
    """The same numbers each time: seeded, in so many threads; on a GPU but for the order in which some methods add."""
    chosen = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        with in_threads(settings.threads), torch.random.fork_rng(["cuda"] if device.type == "cuda" else []):
            torch.manual_seed(settings.seed)
            yield
    finally:
        torch.backends.cudnn.deterministic = chosen


def shifted(pixels: Pixels, most: int, random: np.random.Generator) -> Pixels:
    """Each image moved by up to so many pixels, down and across, its edge repeated; shapes as they were."""
    size = pixels.shape[2]
    wide = np.pad(pixels, ((0, 0), (0, 0), (most, most), (most, most)), mode="edge")
    moves = random.integers(0, 2 * most + 1, (len(pixels), 2))
    found = np.empty_like(pixels)
    for down, across in np.unique(moves, axis=0):
        mine = (moves == (down, across)).all(1)
        found[mine] = wide[mine, :, down : down + size, across : across + size]
    return found


def split(hashes: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    """Which images tell when to stop, by a hash of each: about that share, and at least one; shape (images,)."""
    chosen = hashes.astype(np.float64) < share * 2.0**64
    if len(hashes) > 1 and (chosen.all() or not chosen.any()):
        chosen[:] = False
        chosen[np.argmin(hashes)] = True
    return chosen
