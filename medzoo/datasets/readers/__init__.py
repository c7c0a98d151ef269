"""Sources of images that are not yet arrays: folders, tables, the Hugging Face Hub."""
