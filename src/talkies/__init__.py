"""talkies: learn what pictures and sounds mean from films nobody labelled, and put it to use."""

__version__ = "0.1.0"
