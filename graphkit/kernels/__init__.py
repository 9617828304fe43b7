"""numba kernels, each beside a plain definition that its test compares it with."""
