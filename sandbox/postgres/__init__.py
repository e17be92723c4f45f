"""A PostgreSQL of the sandbox's own, and the shop's tables in it."""
