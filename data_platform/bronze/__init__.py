"""Bronze: every source table as it came, append-only, in the source's own names."""
