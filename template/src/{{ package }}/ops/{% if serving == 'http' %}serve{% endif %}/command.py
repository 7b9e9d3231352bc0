"""The command `serve`; it imports what it needs, so that the others are quick."""

from pathlib import Path
from typing import Annotated

import typer

from ..settings import Stage, enter_project, load


def serve(
    stage: Annotated[Stage, typer.Option(help="The stage whose results are served.")] = Stage.develop,
    host: Annotated[str, typer.Option(help="The address to listen at. [default: serving.host]")] = "",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port; 0: any free one. [default: serving.port]")
    ] = None,
    held: Annotated[Path | None, typer.Option("--held", hidden=True)] = None,
    mark: Annotated[Path | None, typer.Option("--mark", hidden=True)] = None,
    check: Annotated[bool, typer.Option("--check", hidden=True)] = False,
) -> None:
    """Serve the newest results by HTTP, and what the model says of a new key."""
    enter_project(stage)
    from ...pipeline import Settings
    from . import server
    from .app import Application

    settings = load(Settings, stage)
    host = host or settings.serving.host
    if check:
        server.need_token(settings, host)
        Application(settings)
    elif held:
        server.serve_held(settings, held, mark)
    else:
        server.serve(settings, host, settings.serving.port if port is None else port)
