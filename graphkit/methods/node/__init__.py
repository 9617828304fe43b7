"""Methods that label the nodes of a graph, and the plain graph neural networks that every comparison needs."""
