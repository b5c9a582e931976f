"""Which craters stand closer together than chance: candidates for secondaries."""
