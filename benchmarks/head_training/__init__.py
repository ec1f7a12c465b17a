"""Heads on frozen public encoders, trained on parts of films and measured on the others."""
