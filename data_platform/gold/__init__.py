"""Gold: the business's facts, dimensions and marts, modelled in dbt and shown to Dagster as assets."""
