"""Landed files: what AppFlow and Lambda write to a folder or a bucket for us to read."""
