"""Checks: what every table promises, and whether it keeps it."""
