"""What the films of a library are like (diversity, recurrence, shortcut cues), with advice for training."""

from talkies.analysis.analyse import analyse, choose_folder
from talkies.analysis.page import summarise_advice, write_analysis
from talkies.analysis.settings import TrainingPlan
from talkies.analysis.values import Analysis

__all__ = ["Analysis", "TrainingPlan", "analyse", "choose_folder", "summarise_advice", "write_analysis"]
