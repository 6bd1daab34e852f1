"""What is wrong with a surface, and mending it."""
