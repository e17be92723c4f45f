"""CleverTap, as far as its cursor downloads and counts go."""
