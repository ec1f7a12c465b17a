"""Scenes and music that recur, near-duplicate films, match cuts, and the markers that editors read."""
