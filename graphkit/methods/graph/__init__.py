"""Methods that label whole graphs, or the nodes of many."""
