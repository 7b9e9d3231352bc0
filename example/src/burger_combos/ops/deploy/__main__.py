"""The verbs: `sh develop/verb.sh VERB`, and their options as variables of the environment."""

import os
import sys
from collections.abc import Callable, Sequence

from ..problems import Problem, outside, stoppable
from . import candidate_image, deploy_and_rollback, verbs_where_deployed
from .checkout import Checkout
from .chosen_target import Chosen
from .develop import Develop, tracking
from .engine import Engine
from .programs import at_the_end

STAGES = ("develop", "production")


def verbs(stage: str, arguments: Sequence[str]) -> dict[str, Callable[[], None]]:
    """Each verb that is about a stage where it is deployed, or on its way there."""

    def engine() -> Engine:
        found = Engine(Checkout(stage))
        if why := found.obstacle():
            raise Problem(f"{why}: an image needs one")
        return found

    return {
        "image": lambda: candidate_image.make_image(engine()),
        "scan": lambda: candidate_image.scan(engine()),
        "deploy": lambda: deploy_and_rollback.deploy(Chosen(stage)),
        "rollback": lambda: deploy_and_rollback.rollback(Chosen(stage)),
        "remove": lambda: deploy_and_rollback.remove(Chosen(stage)),
        "status": lambda: verbs_where_deployed.status(arguments),
        "logs": lambda: verbs_where_deployed.logs(Chosen(stage), arguments),
        "results": lambda: verbs_where_deployed.results(Chosen(stage), arguments),
        "trace": lambda: verbs_where_deployed.trace(Chosen(stage), arguments),
        "run": lambda: verbs_where_deployed.run(Chosen(stage), arguments),
        "backfill": lambda: verbs_where_deployed.backfill(Chosen(stage), arguments),
        "sweep": lambda: verbs_where_deployed.sweep(Chosen(stage), arguments),
    }


def verbs_of_develop(arguments: Sequence[str]) -> dict[str, Callable[[], None]]:
    """Each verb that is about develop on this machine."""
    found: dict[str, Callable[[], None]] = {
        "develop": lambda: Develop().run(),
        "inside": lambda: Develop().inside(),
        "clean": lambda: Develop().clean(),
        "local": lambda: Develop().local(*arguments),
    }
    if not os.environ.get("STAGE"):
        found["sweep"] = lambda: Develop().sweep()
    if mlflow := tracking():
        found["tracking"] = lambda: mlflow.show(Develop())
    return found


def main(verb: str, *arguments: str) -> None:
    """Do what a verb says; what a person can mend is told in one line."""
    os.environ.pop("PYTHONPATH", None)  # which was for this program alone
    here = verbs_of_develop(arguments)
    stage = "develop" if verb in here else os.environ.get("STAGE") or "production"
    try:
        if stage not in STAGES:
            raise Problem(f"STAGE={stage}: what is deployed are develop and production")
        known = verbs(stage, arguments) | here
        if verb not in known:
            raise Problem(f"no verb {verb}: there are {', '.join(sorted(known))}")
        with at_the_end, stoppable():
            known[verb]()
    except Problem as problem:
        sys.exit(f"{stage}: {problem}")
    except BrokenPipeError:  # the reader has seen enough, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        if not (told := outside(error)):
            raise
        sys.exit(f"{stage}: {told}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main(*sys.argv[1:])
