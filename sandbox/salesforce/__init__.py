"""A stand-in for Salesforce: REST API v58.0, Bulk API 2.0 and OAuth, over TLS, on the company's records."""
