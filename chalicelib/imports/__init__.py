"""Customers and orders from CSV files: read whatever Japanese systems export, try first, lose nothing, repeat harmlessly."""
