"""A project that its owners have made their own."""

import re
import shutil

from rig import Project

LAST = ", recommend, publish)\n"  # of the steps, in each release
STEP = '''def celebrate(run: Run, settings: Settings) -> None:
    """Ours: say so."""
    run.record.facts["celebrated"] = True


'''


def live_in(project: Project) -> None:
    """Edit the model, rename a module, add a step, change settings, Makefile, CI and dependencies, delete a folder."""
    source = f"src/{project.package}"
    change(project, f"{source}/model.py", "", "\n\nEDITED = True\n")
    (project.folder / source / "evaluate.py").rename(project.folder / source / "quality.py")
    change(project, f"{source}/pipeline.py", "from . import evaluate as evaluation\n", "")
    text = (project.folder / source / "pipeline.py").read_text(encoding="utf-8")
    last = "from . import pairs\n" if "from . import pairs\n" in text else "as ordering\n"  # by the alphabet
    change(project, f"{source}/pipeline.py", last, f"{last}from . import quality as evaluation\n")
    after = "TABLES = " if "TABLES = " in text else "Step = Callable"  # since 0.11.0
    change(project, f"{source}/pipeline.py", after, STEP + after)
    change(project, f"{source}/pipeline.py", LAST, LAST.replace(")", ", celebrate)"))
    text = (project.folder / source / "pipeline.py").read_text(encoding="utf-8")
    (steps,) = (line for line in text.splitlines() if line.endswith(", celebrate)"))
    if len(steps) > 120:
        name, _, listed = steps.removesuffix(")").partition("(")
        lines = [f"{name}(", *(f"    {step}," for step in listed.split(", ")), ")"]
        change(project, f"{source}/pipeline.py", steps, "\n".join(lines))
    for file in (project.folder / "tests").glob("test_*.py"):
        renamed = rf"import \1\nfrom {project.package} import quality as evaluate\n"
        file.write_text(re.sub(r"import evaluate, (.*)\n", renamed, file.read_text()))
    change(project, "develop/settings.toml", "top_k = 5", "top_k = 3")
    change(project, "tests/test_pipeline.py", ".head(5)", ".head(3)")  # of the test that 0.12.0 has
    change(project, "production/settings.toml", "holdout_days = 7", "holdout_days = 14")
    change(project, "Makefile", "", "\nmine: ## a verb of our own\n\t@echo mine\n")
    change(project, "pyproject.toml", "dependencies = [\n", 'dependencies = [\n    "tzdata",\n')
    shutil.rmtree(project.folder / "explore")
    if (project.folder / ".github").exists():
        change(project, ".github/workflows/check.yml", "timeout-minutes: 30", "timeout-minutes: 45")


def change(project: Project, name: str, old: str, new: str) -> None:
    """Replace what occurs first in a file, or with nothing to replace, append."""
    file = project.folder / name
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(old, new, 1) if old else text + new, encoding="utf-8")
