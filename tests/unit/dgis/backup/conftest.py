from tests.unit.dgis.review.conftest import desk, transcoder  # noqa: F401 (fixtures, found by name)
