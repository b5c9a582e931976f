"""The database: settings, bodies and CRS, tables, bulk COPY, the embedded server, errors."""

__version__ = "0.1.0"
