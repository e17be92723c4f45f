"""Spark on more than one process, as in production: a standalone cluster, and a Spark Connect server."""
