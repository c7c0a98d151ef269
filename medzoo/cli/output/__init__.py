"""What a command writes: its tables, and the files that it may write into."""
