"""CleverTap: profiles and events by its cursor downloads."""
