"""The result of an evaluation: metrics with intervals, and the protocol of their measurement."""

from typing import Annotated, Any

from pydantic import Field

from talkies.analysis.metric import Metric as Metric
from talkies.analysis.metric import wilson_interval as wilson_interval
from talkies.config import Config
from talkies.evaluation.results.detectable import Detectable

SCHEMA_VERSION = 1


class Result(Config):
    """The metrics of one task; `protocol` says how they were measured, with the chance level of each.

    `baselines` holds the same metrics for other features, by name, and `detectable` how large a difference from each
    could have been seen, by baseline and metric (results of older versions have none). `hashes` identifies weights,
    lists and clips by their bytes. Two results of the same inputs and seed differ only in `wall_seconds`.
    """

    schema_version: int = SCHEMA_VERSION
    task: str
    protocol: dict[str, Any]
    metrics: dict[str, Metric]
    baselines: dict[str, dict[str, Metric]] = Field(default_factory=dict)
    detectable: dict[str, dict[str, Detectable]] = Field(default_factory=dict)
    hashes: dict[str, str] = Field(default_factory=dict)
    tools: dict[str, str] = Field(default_factory=dict)
    wall_seconds: Annotated[float, Field(ge=0)] = 0.0
