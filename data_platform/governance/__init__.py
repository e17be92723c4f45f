"""What the company knows of its tables and does about them: catalogues, so far."""
