"""A requestor, a desk, a judge and a reporter over a whole gateway in one process."""

from dgis.commitment.desk import Desk
from dgis.commitment.judge import Judge
from dgis.commitment.judge import Means as JudgeMeans
from dgis.commitment.judging import Patience
from dgis.commitment.proof import Means as ProofMeans
from dgis.commitment.proof import Prover
from dgis.commitment.reporter import Means as ReportMeans
from dgis.commitment.reporter import Reporter
from dgis.commitment.tables import commitment, commitment_instance
from dgis.dimse.limits import Limits
from dgis.dimse.references import Commitment, Reference
from dgis.dimse.services import Session
from replica.source import Reporter as Suspicions
from tests.unit.dgis.site import CLEARED, phantom

PATIENCE = Patience(arrival_ms=60_000, wait_ms=3_600_000, report_ms=86_400_000)
LEASE_MS = 30_000
QUICK = Limits(connect_seconds=2, response_seconds=2, artim_seconds=2, close_seconds=1, send_seconds=2)


def session(caller=CLEARED, number=1, title="HOSPITAL"):
    return Session(number, caller, "DGIS", title, "127.0.0.1")


def references(images):
    return tuple(Reference(image.sop_class_uid, image.sop_instance_uid) for image in images)


class Asking:
    """What the roles do for storage commitment, called by hand."""

    def __init__(self, site, destinations=None, name=None):
        self.site = site
        self.engine = site.engine
        name = name or site.name
        self.desk = Desk(site.engine, name, f"{name}/dicom", site.clock, LEASE_MS)
        proof = ProofMeans(site.grid.replicas, site.keys.get, Suspicions(site.engine, site.clock))
        self.judge = Judge(JudgeMeans(site.engine, Prover(proof), PATIENCE, site.clock, LEASE_MS))
        self.reporter = Reporter(
            ReportMeans(
                site.engine, name, f"{name}/worker", destinations or {}, PATIENCE, site.clock, LEASE_MS, QUICK
            )
        )

    def ask(self, asked, *, who=None, uid="1.2.3"):
        return self.desk.commit(who or session(), Commitment(uid, tuple(asked)))

    def look(self, seconds=0):
        """Let time pass and look at whatever is due."""
        self.site.clock.pass_seconds(seconds)
        while self.judge.run_once():
            pass

    @property
    def transactions(self):
        return self.site.rows(commitment)

    @property
    def instances(self):
        return self.site.rows(commitment_instance)

    def states(self):
        return [(row.state, row.reason) for row in sorted(self.instances, key=lambda row: row.place)]

    def standings(self):
        return {row.standing for row in self.instances}


def published(site, count=3, **of):
    images = phantom(count, **of)
    site.publish(images)
    return images
