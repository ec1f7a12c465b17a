"""Descriptors of clips: hand-crafted features, shortcut cues, and the film probe."""
