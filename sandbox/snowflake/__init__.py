"""A stand-in for Snowflake: fakesnow in server mode, spoken to by the official connector."""
