"""What all measurements share: where results are stored, and how they are formatted and drawn."""
