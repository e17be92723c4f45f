"""Snowflake: tables read by the moment their rows changed, in the Arrow batches that it answers with."""

from data_platform.connectors.snowflake.connector import Snowflake

__all__ = ["Snowflake"]
