"""The paper's three observations about films, measured on anyone's: diversity, recurrence, marks."""

from talkies.analysis.analyse import analyse, place_of
from talkies.analysis.page import words_of, write_analysis
from talkies.analysis.values import Analysis

__all__ = ["Analysis", "analyse", "place_of", "words_of", "write_analysis"]
