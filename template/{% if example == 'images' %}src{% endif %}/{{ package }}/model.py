"""Yours: the model, a small convolutional network; arrays in, arrays out.

Two convolutions see strokes and corners wherever they are, a linear layer tells the labels apart. After LeCun et al.,
"Gradient-based learning applied to document recognition", Proceedings of the IEEE 86 (1998).
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .images import Pixels
from .ops.problems import Problem
from .ops.settings import Section

Codes = NDArray[np.int64]  # shape (images,): the place of each image's label among the labels
Probabilities = NDArray[np.float64]  # shape (images, labels)

CHECKPOINT, EXPORTED, ABOUT = "checkpoint.pt", "model.safetensors", "model.json"
AT_ONCE = 256  # images; always as many, so that what comes of one does not depend on how many there are
DIGITS = 6  # of a probability


class ModelSettings(Section):
    """The section `[model]` of a stage's settings."""

    width: PositiveInt = 32  # channels of the first layer; the second has twice as many
    dropout: float = Field(default=0.3, ge=0, lt=1)
    shift: int = Field(
        default=1, ge=0, le=64
    )  # pixels by which training moves images, as where something is says nothing
    epochs: PositiveInt = 30  # at most
    patience: PositiveInt = 5  # epochs without a better validation loss, after which training stops
    validation_share: float = Field(default=0.15, gt=0, lt=1)  # of the images to learn from, to see when to stop
    batch: PositiveInt = 64  # images of a step of the optimiser
    learning_rate: PositiveFloat = 0.004
    weight_decay: float = Field(default=0.01, ge=0)
    seed: NonNegativeInt = 1
    checkpoint_batches: PositiveInt = 100  # after so many, and after each epoch, training can be taken up again
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: a GPU where there is one
    mixed_precision: bool = True  # on a GPU; a processor computes in full precision
    threads: PositiveInt = 1  # of the processor; another number may change the last digits


@dataclass(frozen=True)
class Spec:
    """All that tells of a network but its weights.

    Attributes:
        labels: those that it tells apart, in the order of its outputs.
        channels: of an image.
        size: of an image, in pixels.
        width: of the first layer, in channels.
        dropout: the share of values that training leaves out.
        mean: of the pixels that it has learnt from, from 0 to 255.
        deviation: their standard deviation.
    """

    labels: tuple[str, ...]
    channels: int
    size: int
    width: int
    dropout: float
    mean: float
    deviation: float

    @classmethod
    def of(cls, labels: Sequence[str], pixels: Pixels, settings: ModelSettings) -> "Spec":
        """That of a network which is to learn from these images."""
        deviation = float(pixels.std()) or 1.0
        return cls(
            tuple(labels),
            pixels.shape[1],
            pixels.shape[2],
            settings.width,
            settings.dropout,
            float(pixels.mean()),
            deviation,
        )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Spec":
        """The inverse of dataclasses.asdict."""
        return cls(**values | {"labels": tuple(values["labels"])})


def network(spec: Spec) -> nn.Sequential:
    """A new one: shape (images, channels, size, size) in, the logits of shape (images, labels) out."""
    last = 2 * spec.width * (spec.size // 4) ** 2
    return nn.Sequential(
        nn.Conv2d(spec.channels, spec.width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(spec.width, 2 * spec.width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(spec.dropout),
        nn.Linear(last, len(spec.labels)),
    )


def inputs(pixels: Pixels, spec: Spec, device: torch.device) -> Tensor:
    """What the network takes of images, on a device."""
    values = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)
    return (values.float() - spec.mean) / spec.deviation


def device_of(wanted: str, gpus: int = 0) -> torch.device:
    """Where to compute.

    Args:
        wanted: `model.device` of the settings.
        gpus: how many GPUs the settings give to the step.

    Raises:
        Problem: a GPU is wanted, or given, and PyTorch has none.
    """
    if wanted == "cpu" or (wanted == "auto" and not gpus and not torch.cuda.is_available()):
        return torch.device("cpu")
    refuse_without_gpu('model.device is "cuda"' if wanted == "cuda" else f"[resources] gives training {gpus} GPU")
    return torch.device("cuda")


def refuse_without_gpu(why: str) -> None:
    """Stop where there is no GPU to compute on.

    Args:
        why: which setting wants one.

    Raises:
        Problem: there is none.
    """
    if torch.version.cuda is None:
        raise Problem(
            f"{why}, and PyTorch {torch.__version__} is the build for processors: write ARG TORCH=cuda in Dockerfile "
            "and build the image, or run make setup, again"
        )
    if not torch.cuda.is_available():
        raise Problem(
            f"{why}, and PyTorch {torch.__version__} sees no GPU here: the driver is the host's, and a container is "
            "given the GPU when it is started"
        )


@dataclass(frozen=True)
class Model:
    """What was learnt.

    Attributes:
        spec: of the network.
        weights: by the name of each parameter, on the processor.
    """

    spec: Spec
    weights: dict[str, Tensor]

    def predict(self, pixels: Pixels, threads: int = 1) -> Probabilities:
        """The probability of each label, shape (images, labels); on the processor, so the same on each machine.

        Args:
            pixels: shape (images, channels, size, size).
            threads: of the processor.
        """
        made = network(self.spec)
        made.load_state_dict(self.weights)
        made.eval()
        found = np.empty((len(pixels), len(self.spec.labels)))
        with in_threads(threads), torch.inference_mode():
            for start in range(0, len(pixels), AT_ONCE):
                some = pixels[start : start + AT_ONCE]
                full = np.concatenate([some, np.zeros((AT_ONCE - len(some), *some.shape[1:]), np.uint8)])
                logits = made(inputs(full, self.spec, torch.device("cpu")))[: len(some)]
                found[start : start + len(some)] = logits.double().softmax(1).numpy().round(DIGITS)
        return found

    def save(self, folder: Path) -> None:
        """Write a checkpoint, and beside it the same weights for other frameworks, in a format that runs no code."""
        folder.mkdir(parents=True, exist_ok=True)
        about = asdict(self.spec)
        torch.save({"spec": about, "weights": self.weights}, folder / CHECKPOINT)
        save_file(self.weights, folder / EXPORTED, metadata={"spec": json.dumps(about)})
        (folder / ABOUT).write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Model":
        """Read the checkpoint that `save` wrote; it may hold tensors and plain values only, so it runs no code."""
        found = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)
        return cls(Spec.from_dict(found["spec"]), found["weights"])

    @classmethod
    def exported(cls, folder: Path) -> "Model":
        """Read what `save` wrote for other programs."""
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return cls(Spec.from_dict(about), load_file(folder / EXPORTED))


@contextmanager
def in_threads(threads: int) -> Iterator[None]:
    """So many threads of the processor within, as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
