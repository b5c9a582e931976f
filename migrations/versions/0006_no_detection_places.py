"""No sphere index of detections: what is suppressed is found by its crater.

Revision: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop the index of every run that has one."""
    op.execute(
        """
        DO $$
        DECLARE
            name regclass;
        BEGIN
            FOR name IN SELECT i.indexrelid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                        WHERE c.relnamespace = 'cda'::regnamespace
                          AND c.relname ~ '^detection_r[0-9]+_sphere_idx$'
            LOOP
                EXECUTE format('DROP INDEX %s', name);
            END LOOP;
        END $$
        """
    )


def downgrade() -> None:
    """Build it again for every run with a catalogue."""
    op.execute(
        """
        DO $$
        DECLARE
            run record;
        BEGIN
            FOR run IN SELECT run_id FROM cda.catalogue LOOP
                EXECUTE format('CREATE INDEX detection_r%1$s_sphere_idx ON cda.detection_r%1$s '
                               '(public.q3c_ang2ipix(lon, lat)) WHERE NOT cut', run.run_id);
            END LOOP;
        END $$
        """
    )
