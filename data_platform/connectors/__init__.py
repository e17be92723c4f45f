"""How a kind of source is read: the protocol in base.py, one module (or folder) per kind."""
