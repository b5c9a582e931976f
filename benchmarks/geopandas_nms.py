"""What people do today, as geopandas' own pages show it: read_postgis, NMS, to_postgis.

The suppression itself is ``benchmarks.shapely_nms``'s; only the way in and out is geopandas'.
"""

from __future__ import annotations

import time
from typing import Any

import geopandas
import numpy as np
from sqlalchemy import Engine, text

from benchmarks.shapely_nms import Rows, suppress_in_memory
from cda_db.runs import Run


def geopandas_nms(engine: Engine, run: Run, threshold: float) -> dict[str, Any]:
    """Fetch, suppress in memory, write the kept craters back; seconds by stage and their number."""
    started = time.perf_counter()
    frame = geopandas.read_postgis(
        "SELECT detection_id, diameter_m, score, ST_MakePoint(lon, lat) AS geom"
        f" FROM cda.detection WHERE run_id = {run.run_id} AND NOT cut",
        engine,
    )
    fetched = time.perf_counter()
    lon, lat = frame.geometry.x.to_numpy(), frame.geometry.y.to_numpy()
    half_lat = np.degrees(frame["diameter_m"].to_numpy(float) / 2 / run.body.radius_m)
    half_lon = half_lat / np.maximum(np.cos(np.radians(lat)), 1e-6)
    boxes = np.stack([lon - half_lon, lat - half_lat, lon + half_lon, lat + half_lat], axis=1)
    rows = Rows(frame["detection_id"].to_numpy(), boxes, frame["score"].to_numpy(float))
    verdict, _ = suppress_in_memory(rows, threshold)
    decided = time.perf_counter()
    frame[verdict < 0].to_postgis("bench_craters", engine, schema="cda", if_exists="replace")
    done = time.perf_counter()
    with engine.begin() as conn:
        conn.execute(text("DROP TABLE cda.bench_craters"))
    return {
        "version": geopandas.__version__, "seconds": round(done - started, 2),
        "kept": int((verdict < 0).sum()), "read_postgis": round(fetched - started, 2),
        "suppress": round(decided - fetched, 2), "to_postgis": round(done - decided, 2),
    }  # fmt: skip
