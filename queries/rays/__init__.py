"""Which craters throw rays: contrasts of small craters around a primary, judged by controls."""
