"""The target that the project's answer names, of which this package has the module."""

from .docker import DockerHost as Chosen

__all__ = ["Chosen"]
