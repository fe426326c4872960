"""Every table there is: importing this module is what makes them known to migrations."""

import catalog.tables
import dgis.accounting
import dgis.publisher.tables
import dgis.tables
import replica.tables

_OF_THE_GATEWAY = (
    dgis.accounting.door_count,
    dgis.publisher.tables.publish_part,
)  # hang on dgis.tables.metadata

METADATA = (catalog.tables.metadata, replica.tables.metadata, dgis.tables.metadata)
