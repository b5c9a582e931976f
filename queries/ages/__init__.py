"""Model ages of surfaces from crater counts; start with ``model_age`` and ``read_counts``."""
