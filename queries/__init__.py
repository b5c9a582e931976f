"""Catalogue in, science out: density, ages, secondaries, rays, sources, provenance, export."""
