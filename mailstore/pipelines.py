"""Requests from JSON lines, results to JSON lines and to CSV rows."""
