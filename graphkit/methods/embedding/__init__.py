"""Node embeddings."""
