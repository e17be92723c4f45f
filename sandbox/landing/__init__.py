"""What lands files, and what they land in: AppFlow, the exchange rates' API, a folder and a bucket."""
