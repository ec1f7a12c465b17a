"""A result: numbers, with the protocol that they were got by."""

from typing import Annotated, Any

from pydantic import Field

from talkies.analysis.metric import Metric as Metric
from talkies.analysis.metric import wilson as wilson
from talkies.config import Config

SCHEMA_VERSION = 1


class Result(Config):
    """What a task came to; `protocol` says how it was measured, with the chance level of each metric.

    `baselines` are the same metrics of other features by name; `hashes` tell weights and the publishers' lists by their
    bytes. Two results of the same inputs and seed differ in `wall_seconds` alone.
    """

    schema_version: int = SCHEMA_VERSION
    task: str
    protocol: dict[str, Any]
    metrics: dict[str, Metric]
    baselines: dict[str, dict[str, Metric]] = Field(default_factory=dict)
    hashes: dict[str, str] = Field(default_factory=dict)
    tools: dict[str, str] = Field(default_factory=dict)
    wall_seconds: Annotated[float, Field(ge=0)] = 0.0
