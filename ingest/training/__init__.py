"""Training and evaluation of detectors (extra `train` for training itself)."""
