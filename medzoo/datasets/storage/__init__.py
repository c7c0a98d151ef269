"""Data files on disk: archives, memory maps, downloads and checksums."""
