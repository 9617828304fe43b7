"""Published methods, one module and one sheet each, in a folder per family."""
