"""Figures of the tables, for the report and as SVG."""
