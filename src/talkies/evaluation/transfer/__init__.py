"""Transfer to labelled data sets: features of clips, probes and fine-tuning, each with its protocol."""

from talkies.clips.clip_spec import ClipSpec
from talkies.evaluation.transfer.features import Features, Statistics, TowerFeatures
from talkies.evaluation.transfer.protocol import PROTOCOLS, Protocol, resolve_protocol

__all__ = [
    "PROTOCOLS",
    "ClipSpec",
    "Features",
    "Protocol",
    "Statistics",
    "TowerFeatures",
    "resolve_protocol",
]
