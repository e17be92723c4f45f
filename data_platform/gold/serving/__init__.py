"""Loading silver tables out into the databases of those who use them: what is loaded, and how each target takes it."""
