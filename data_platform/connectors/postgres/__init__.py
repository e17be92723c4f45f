"""How a PostgreSQL database is read: whole and columnar, by a cursor, or by what its WAL says has changed."""
