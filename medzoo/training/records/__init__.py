"""What a run leaves behind: its files, its fingerprint, and where its weights come from."""
