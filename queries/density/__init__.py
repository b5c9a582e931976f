"""Crater densities: counts over imaged area on equal-area cells, with exact intervals."""
