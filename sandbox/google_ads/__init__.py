"""Google Ads, as far as reports by searchStream go, and the login before it."""
