"""Learners of events: which nodes will interact, and when."""
