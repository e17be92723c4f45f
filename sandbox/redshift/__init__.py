"""A stand-in for Redshift: a proxy that speaks its dialect before a real PostgreSQL."""
