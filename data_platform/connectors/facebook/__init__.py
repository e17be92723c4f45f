"""Facebook Ads: the Marketing API's insights, by asynchronous report runs."""
