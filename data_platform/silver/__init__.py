"""Silver: conformed tables, one row per key and newest version, and the tables joined from them."""
