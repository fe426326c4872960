"""What is wanted of the gateway, as a table: figures, and ratios to peers measured in the same run."""

from tests.bench.figures import Target

RATE, CPU, FIRST, MEDIAN = "images/s", "CPU s/1000", "ms to first", "ms"
ORTHANC, SHIPPED, ONE, FOUR = "Orthanc", "Orthanc as shipped", "storescu", "4 storescu"
EMPTY, FULL = "gateway, empty", "gateway, full"
RAW, PSS = "MB/s raw", "MB PSS"
SECOND, P99, FAILED, BYTES = "per second", "ms p99", "failed", "MB/s"
ONE_STUDY = "QIDO of one study"
PREFIX = "1,000 hits by name"


def _store() -> list[Target]:
    wanted = {"CT": (2.0, 1 / 2), "MR": (3.0, 1 / 3), "PT": (3.0, 1 / 3)}
    return [
        target
        for kind, (rate, cpu) in wanted.items()
        for count in (1, 4)
        for target in (
            Target("store", f"{kind} x{count}", RATE, rate, to=ORTHANC),
            Target("store", f"{kind} x{count}", CPU, cpu, at_least=False, to=ORTHANC),
        )
    ]


TARGETS = (
    *_store(),
    Target("storescu", "CT", RATE, 15, to=SHIPPED),
    Target("storescu", "PT", RATE, 80, to=SHIPPED),
    *(
        Target("grown", work, unit, 0.85, to=EMPTY, who=FULL)
        for work in ("PT x1", "PT x4", "a study an image")
        for unit in ("acknowledged/s", "indexed/s")
    ),
    Target("associate", "association, echo, release x1", "per second", 1500),
    Target("associate", "C-ECHO on one association", "per second", 15000),
    Target("find", "exact key", MEDIAN, 2, at_least=False),
    Target("find", "100 hits by date", MEDIAN, 5, at_least=False),
    Target("find", PREFIX, MEDIAN, 30, at_least=False),
    Target("find-postgresql", "exact key", MEDIAN, 4, at_least=False),
    Target("find-postgresql", "100 hits by date", MEDIAN, 10, at_least=False),
    Target("find-postgresql", PREFIX, MEDIAN, 60, at_least=False),
    *(
        target
        for service in ("C-GET", "C-MOVE")
        for target in (
            Target("retrieve", f"{service} from cache", RATE, 1.5, to=ORTHANC),
            Target("retrieve", f"{service} from cache", FIRST, 5, at_least=False),
            Target("retrieve", f"{service} from records", RATE, 0.75, to=ORTHANC),
            Target("retrieve", f"{service} from records", FIRST, 60, at_least=False),
        )
    ),
    Target("publish", "CT abdomen, nodes in memory", RAW, 280),
    Target("publish", "CT chest, nodes in memory", RAW, 240),
    Target("publish", "PET, nodes in memory", RAW, 170),
    *(
        Target("publish", f"{kind}, share kept with nodes on disk", "ratio", 0.8)
        for kind in ("CT abdomen", "CT chest", "PET")
    ),
    Target("publish", "134 MB CT until found in the grid", "s", 1.5, at_least=False),
    Target("wan", "PET", RATE, 30, to=ONE),
    Target("wan", "MR", RATE, 30, to=ONE),
    Target("wan", "CT", RATE, 4.5, to=ONE),
    Target("memory", "idle", PSS, 300, at_least=False),
    Target("memory", "4 associations of CT and publishing", PSS, 700, at_least=False),
    Target("web", f"{ONE_STUDY} x8", SECOND, 600),
    Target("web", f"{ONE_STUDY}, 300 arrivals a second", P99, 100, at_least=False),
    Target("web", ONE_STUDY, FAILED, 0, at_least=False),
    Target("web", "WADO-RS of CT from cache", BYTES, 1, to=ORTHANC),
    Target("web", "WADO-RS of CT from records", BYTES, 1, to=ORTHANC),
    Target("web", "STOW-RS of CT", RATE, 1.5, to=ORTHANC),
    Target("start", "1,000,000 cached instances to the first association", "s", 5, at_least=False),
)
