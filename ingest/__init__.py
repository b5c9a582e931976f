"""Pictures in, raw detections out: scenes, tiling, detector, worker, training."""
