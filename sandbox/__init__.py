"""Stand-ins for the vendors, and the company whose data they hold. The platform never imports it."""
