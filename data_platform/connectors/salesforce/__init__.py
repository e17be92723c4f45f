"""Salesforce: REST below a row threshold and Bulk 2.0 above it, each read bounded and with its deletions."""

from data_platform.connectors.salesforce.connector import Salesforce

__all__ = ["Salesforce"]
