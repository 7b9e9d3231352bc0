"""A package's name beside what a project really installs."""

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


def test_a_package_cannot_take_the_name_of_anything_installed(project: Project) -> None:
    installed = set(project.python(INSTALLED).stdout.split()) - {project.package}
    assert {"polars", "pydantic_core", "yaml", "scipy_stubs"} <= installed
    assert [name for name in sorted(installed) if not problem(name)] == []
