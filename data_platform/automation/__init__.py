"""When things run: jobs, schedules, and the condition by which a change flows to gold."""
