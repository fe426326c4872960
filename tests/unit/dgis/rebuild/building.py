"""Rebuilding the database of a `Site`."""

from catalog.contributors import PublisherGrant
from deid.pseudonyms import SiteSecrets
from dgis.publisher.about import Contributions
from dgis.rebuild.objects import Taking
from dgis.rebuild.reading import Reading, Secrets
from dgis.rebuild.rebuilder import Means, Rebuilder
from dgis.rebuild.writing import Writing
from tests.unit.dgis.site import FACILITY, SECRET


def means(site, *, keys=True, verify=False):
    secrets = Secrets(site.keys, site.pseudonymise, Contributions(SiteSecrets(SECRET))) if keys else None
    return Means(
        Taking(site.grid.replicas, verify),
        Reading(site.engine, site.shelf, secrets),
        Writing(site.engine, PublisherGrant(), FACILITY, site.name),
        site.clock,
    )


def rebuild(site, **how):
    return Rebuilder(means(site, **how)).run()
