"""What is landed: one module per system, declarations alone. How a kind is read: connectors/."""
