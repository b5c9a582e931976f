"""Which crater a meteorite came from: constraints, likelihood ratios, a ranking with reasons."""
