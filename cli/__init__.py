"""Typer commands, one module per command: parse, call, print."""
