"""Descriptors of clips that need no training: handcrafted features, shortcut cues, and the film probe."""
