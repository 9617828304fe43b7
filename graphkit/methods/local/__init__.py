"""Clusters around given nodes, found without reading the whole graph."""
