"""Every table there is: importing this module is what makes them known to migrations."""

import catalog.tables
import dgis.accounting
import dgis.availability.tables
import dgis.commitment.tables
import dgis.departed.tables
import dgis.erasure.tables
import dgis.jobs.tables
import dgis.merger.tables
import dgis.publisher.tables
import dgis.rebuild.tables
import dgis.repository.tables
import dgis.retention.tables
import dgis.review.tables
import dgis.sessions.tables
import dgis.tables
import replica.tables

_OF_THE_GATEWAY = (
    dgis.accounting.door_count,
    dgis.availability.tables.availability_notice,
    dgis.commitment.tables.commitment,
    dgis.departed.tables.departed,
    dgis.erasure.tables.erasure,
    dgis.jobs.tables.job,
    dgis.merger.tables.merge_job,
    dgis.publisher.tables.publish_part,
    dgis.rebuild.tables.rebuild_run,
    dgis.repository.tables.audit_sent,
    dgis.retention.tables.hold,
    dgis.review.tables.review_decision,
    dgis.sessions.tables.web_session,
)  # hang on dgis.tables.metadata

METADATA = (catalog.tables.metadata, replica.tables.metadata, dgis.tables.metadata)

SEEDED = frozenset({"grant_epoch", "schema_floor"})
"""Tables of which migrations make a row: it belongs to the database, not to what is kept in it."""
