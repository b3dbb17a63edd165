"""Shipped showers (HDF5) and the script that makes them."""
