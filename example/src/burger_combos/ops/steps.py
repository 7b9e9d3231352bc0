"""The names of the pipeline's steps."""

from collections.abc import Callable, Sequence

from .problems import Problem


def names(steps: Sequence[Callable[..., None]]) -> list[str]:
    """The name of each step, as records, logs and every target have it.

    Args:
        steps: STEPS of pipeline.py.

    Raises:
        Problem: there is no step, one is no function with a name, or two have the same.
    """
    if not steps:
        raise Problem("pipeline.py: STEPS is empty: it lists the functions that a run calls, in their order")
    found: list[str] = []
    for place, step in enumerate(steps, 1):
        name = getattr(step, "__name__", "")
        if not name.isidentifier():
            raise Problem(f"pipeline.py: step {place} of STEPS is {step!r}: write a function for it, by def")
        if name in found:
            raise Problem(f"pipeline.py: two of STEPS are called {name!r}: give each a name of its own")
        found.append(name)
    return found
