"""Parametrised shower simulation (Grindhammer-Peters), for any detector of the catalog."""
