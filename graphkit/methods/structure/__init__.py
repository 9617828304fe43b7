"""Counts and measures of the structure of a graph."""
