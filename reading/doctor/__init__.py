"""Finds what is wrong with an installation, why, and what to type to mend it."""
