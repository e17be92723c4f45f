"""Facebook's Marketing API, as far as insights go."""
