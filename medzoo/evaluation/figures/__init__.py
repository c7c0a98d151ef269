"""Figures of scores, drawn by matplotlib: their frame, and those of a report."""
