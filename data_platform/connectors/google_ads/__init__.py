"""Google Ads: reports in GAQL by REST's searchStream."""
