"""A schema registry of the sandbox's own, which speaks Confluent's protocol."""
