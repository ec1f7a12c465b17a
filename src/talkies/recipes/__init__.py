"""Recipes: complete, named run configs as YAML."""
