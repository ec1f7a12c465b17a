"""Published results of other methods, each with what is known of its protocol; numbers compare only if protocols do."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class PublishedResult:
    """The published top-1 accuracy, in per cent, of a method after some pretraining; `protocol` is the paper's."""

    task: str
    kind: Literal["finetune", "frozen"]
    method: str
    pretraining: str
    accuracy: float
    protocol: str


_FULL = "full fine-tuning, RGB only; 8 to 32 frames, 112 or 224 px, 10 clips × 1 or 3 crops, mean over the splits"
_FROZEN = "frozen features, linear classifier, mean over the splits"
_ESC = "frozen features, linear SVM over windows, mean over the five folds"

PUBLISHED_RESULTS = (
    PublishedResult("ucf101", "finetune", "supervised R(2+1)D-18", "Kinetics-400", 94.2, _FULL),
    PublishedResult("hmdb51", "finetune", "supervised R(2+1)D-18", "Kinetics-400", 65.1, _FULL),
    PublishedResult("ucf101", "finetune", "XDC R(2+1)D-18", "IG-Random 65M, uncurated", 94.6, _FULL),
    PublishedResult("hmdb51", "finetune", "XDC R(2+1)D-18", "IG-Random 65M, uncurated", 66.5, _FULL),
    PublishedResult("ucf101", "finetune", "XDC", "AudioSet", 93.0, _FULL),
    PublishedResult("hmdb51", "finetune", "XDC", "AudioSet", 63.7, _FULL),
    PublishedResult("ucf101", "frozen", "XDC", "AudioSet", 85.3, _FROZEN),
    PublishedResult("hmdb51", "frozen", "XDC", "AudioSet", 56.0, _FROZEN),
    PublishedResult("ucf101", "finetune", "AVID-CMA R(2+1)D-18", "AudioSet", 91.5, _FULL),
    PublishedResult("hmdb51", "finetune", "AVID-CMA R(2+1)D-18", "AudioSet", 64.7, _FULL),
    PublishedResult("esc50", "frozen", "AVID-CMA R(2+1)D-18", "AudioSet", 89.2, _ESC),
    PublishedResult("ucf101", "finetune", "GDT R(2+1)D-18", "IG65M", 95.2, _FULL),
    PublishedResult("hmdb51", "finetune", "GDT R(2+1)D-18", "IG65M", 72.8, _FULL),
    PublishedResult("esc50", "frozen", "GDT R(2+1)D-18", "AudioSet", 88.5, _ESC),
    PublishedResult("ucf101", "finetune", "CrissCross R(2+1)D-18", "AudioSet", 92.4, _FULL),
    PublishedResult("hmdb51", "finetune", "CrissCross R(2+1)D-18", "AudioSet", 67.4, _FULL),
    PublishedResult("ucf101", "frozen", "CrissCross R(2+1)D-18", "AudioSet", 87.7, _FROZEN),
    PublishedResult("hmdb51", "frozen", "CrissCross R(2+1)D-18", "AudioSet", 56.2, _FROZEN),
    PublishedResult("esc50", "frozen", "CrissCross R(2+1)D-18", "AudioSet", 90.5, _ESC),
    PublishedResult("ucf101", "finetune", "BraVe TSM-50×2", "AudioSet", 96.9, _FULL),
    PublishedResult("hmdb51", "finetune", "BraVe TSM-50×2", "AudioSet", 79.4, _FULL),
    PublishedResult("ucf101", "frozen", "BraVe TSM-50×2", "AudioSet", 93.2, _FROZEN),
    PublishedResult("hmdb51", "frozen", "BraVe TSM-50×2", "AudioSet", 69.9, _FROZEN),
    PublishedResult("ucf101", "finetune", "XKD ViT-B", "AudioSet", 95.8, _FULL),
    PublishedResult("hmdb51", "finetune", "XKD ViT-B", "AudioSet", 75.7, _FULL),
    PublishedResult("ucf101", "frozen", "XKD ViT-B", "AudioSet", 88.4, _FROZEN),
    PublishedResult("hmdb51", "frozen", "XKD ViT-B", "AudioSet", 62.2, _FROZEN),
    PublishedResult("esc50", "frozen", "XKD ViT-B", "AudioSet", 93.6, _ESC),
)


def find_published_results(task: str, method: str) -> tuple[PublishedResult, ...]:
    """Return the published results of a task, fine-tuned or on frozen features, as `method` is."""
    kind = {"finetune": "finetune", "linear": "frozen"}.get(method)
    return tuple(result for result in PUBLISHED_RESULTS if result.task == task and result.kind == kind)
