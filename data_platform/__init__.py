"""A data platform: every source table of a company as bronze, silver and gold assets in Dagster."""
