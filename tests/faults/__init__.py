"""Faults: the platform is killed, run twice at once and badly surrounded; its content is held against the truth."""
