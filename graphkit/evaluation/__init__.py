"""Metrics by task, OGB's evaluators, the protocols for node vectors, and what may stand in one table."""
