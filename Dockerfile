# The database as a server: PostgreSQL with PostGIS and Q3C.
FROM postgres:16-bookworm
RUN apt-get update \
 && apt-get install -y --no-install-recommends postgresql-16-postgis-3 postgresql-16-q3c \
 && rm -rf /var/lib/apt/lists/*
