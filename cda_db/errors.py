"""One family of errors. Each message says what was wrong with which input, and what to do.

A class's docstring is the rule that was broken; the message that a person sees is made of
``problem`` and ``remedy``. Commands print both and exit with ``exit_code``.
"""

from __future__ import annotations


class CdaError(Exception):
    """Root of every error that this project raises on purpose.

    Args:
        problem: what is wrong, naming the input.
        remedy: what the reader can do about it.
    """

    exit_code = 1

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy


class InputError(CdaError):
    """A value, file or option given by a person cannot be used; nothing was written."""

    exit_code = 2


class SceneError(InputError):
    """A raster cannot become a scene: unreadable, without a planetary CRS, of another body."""


class ModelError(InputError):
    """Weights are unknown, changed since they were registered, or of an unusable kind."""


class NotFoundError(InputError):
    """A run, scene, batch, crater or model of that name or number does not exist."""


class ServerError(CdaError):
    """The database server is missing, stopped, too old, or lacks an extension."""

    exit_code = 3


class SchemaError(CdaError):
    """The database's schema is not the one that this code was written for."""

    exit_code = 3


class StateError(CdaError):
    """The run or batch is in a state in which the step makes no sense."""

    exit_code = 4


class LeaseLostError(StateError):
    """Another worker holds the batch now: this worker's results were rolled back, not stored."""
