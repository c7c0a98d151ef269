"""Cost of size: many images, large images, several processes."""
