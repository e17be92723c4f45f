"""MySQL: tables read by the moment their rows changed, in columns, with every value as the database holds it."""

from data_platform.connectors.mysql.connector import MySQL

__all__ = ["MySQL"]
