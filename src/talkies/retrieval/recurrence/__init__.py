"""Repeated scenes and music, near-duplicate films, match cuts, and the markers that editors read."""
