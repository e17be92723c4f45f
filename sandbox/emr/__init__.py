"""EMR Serverless: a stub of its API at the HTTP level, whose jobs really run."""
