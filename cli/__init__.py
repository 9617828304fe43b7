"""Command line of graphkit: parse, call the library, show."""
