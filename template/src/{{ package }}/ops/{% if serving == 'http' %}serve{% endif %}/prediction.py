"""What the model says of a key that no run has seen: by the project's own `service.py`, where it has one."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, get_type_hints

from pydantic import BaseModel

from ..problems import Problem
from ..runs import Run

MODULE = f"{__package__.partition('.')[0]}.service"
CONTRACT = "load(run: Run) and predict(model, request: REQUEST) -> RESPONSE, both models of pydantic's"


@dataclass(frozen=True)
class Service:
    """The project's own part of the service.

    Attributes:
        load: makes of a run's files what `predict` takes.
        predict: answers a request.
        request: what a request has to hold.
        response: what an answer holds.
    """

    load: Callable[[Run], Any]
    predict: Callable[[Any, Any], BaseModel]
    request: type[BaseModel]
    response: type[BaseModel]


def own() -> Service | None:
    """The project's `service.py`; None where it has none.

    Raises:
        Problem: it lacks something, or its types do not say what a request and an answer are.
    """
    if not find_spec(MODULE):
        return None
    module = import_module(MODULE)
    for name in ("load", "predict"):
        if not callable(getattr(module, name, None)):
            raise Problem(f"service.py: there is no function {name}: expected are {CONTRACT}")
    hints = get_type_hints(module.predict)
    response = hints.pop("return", None)
    *_, request = [None, *hints.values()]
    if not (_is_model(request) and _is_model(response)):
        raise Problem(f"service.py: predict does not say what it takes and gives: expected are {CONTRACT}")
    return Service(module.load, module.predict, request, response)  # type: ignore[arg-type]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
