"""What measures speed and prediction quality. Run with `catalog bench NAME`."""
