"""A package's name beside what a project really installs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from names import problem
from rig import Project

INSTALLED = """
import importlib.metadata, re
for each in importlib.metadata.distributions():
    print(re.sub("[-_.]+", "_", each.metadata["Name"].lower()))
    for file in each.files or []:
        if file.suffix in (".py", ".so") and re.fullmatch(r"[A-Za-z]\\w*(\\.py)?", file.parts[0]):
            print(file.parts[0].removesuffix(".py").lower())
"""


@pytest.mark.parametrize(
    ("answers", "known"),
    [
        ({}, {"polars", "pydantic_core", "yaml", "scipy_stubs", "marimo"}),
        ({"notebooks": "jupyter", "features": "feast"}, {"jupyterlab", "zmq", "feast", "pyarrow"}),
        ({"target": "metaflow-argo", "example": "images"}, {"metaflow", "kubernetes", "torch", "pil", "sklearn"}),
        ({"target": "metaflow-aws"}, {"metaflow", "boto3"}),
        ({"target": "kubeflow", "tracking": "mlflow"}, {"kfp", "google", "mlflow_skinny", "sqlalchemy"}),
    ],
)
def test_a_package_cannot_take_the_name_of_anything_installed(
    answers: dict[str, str], known: set[str], generate: Callable[..., Project], tmp_path: Path
) -> None:
    project = generate(tmp_path / "p", **answers)
    project.make("setup")
    installed = set(project.python(INSTALLED).stdout.split()) - {project.package}
    if "features" in answers:
        installed |= set(project.run(".venv-feast/bin/python", "-c", INSTALLED).stdout.split())
    assert known <= installed
    assert [name for name in sorted(installed) if not problem(name)] == []
    for script in (project.folder / "production").glob("*.py"):  # what stands beside a script that is run
        assert answers.get("target") == "kubeflow" or problem(script.stem)
