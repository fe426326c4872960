from catalog.status import status
from tests.unit.catalog.world import Image


def test_status_accounts_for_everything(world):
    pending, sealed, first, second = (Image(f"1.{n}", series=f"3.{n % 2}") for n in range(4))
    world.store(pending, sealed, first, second)
    world.store(Image("1.2", content="other"))
    world.publish(first, second, withheld=[sealed])
    with world.engine.connect() as connection:
        counted = status(connection)
    assert (counted.patients, counted.studies, counted.series) == (1, 1, 2)
    assert (counted.received, counted.pending, counted.published, counted.withheld) == (4, 1, 2, 1)
    assert (counted.pending_series, counted.published_series, counted.conflicts) == (1, 2, 1)
