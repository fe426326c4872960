"""The figures as a table and as JSON, and beside those of the last run."""

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.figures import GATEWAY, Figure, Judged, Target, judge

_HEAD = (
    f"{'work':52} {'whose':20} {'median':>10} {'range':>19}  {'unit':14} {'gateway/it':>10} {'last run':>9}"
)
_FOLDER = Path(__file__).resolve().parents[2]


def table(figures: Sequence[Figure], before: Sequence[dict[str, Any]] = ()) -> str:
    """Return a line a figure; `before` are the figures of an earlier run, which are compared with."""
    last = {(each["part"], each["what"], each["unit"], each["who"]): each["median"] for each in before}
    lines, part = [_HEAD], None
    for each in sorted(figures, key=lambda figure: figure.part):  # stable: as measured within a part
        if each.part != part:
            part = each.part
            lines.append(f"-- {part}")
        old = last.get((each.part, each.what, each.unit, each.who))
        span = f"{_number(min(each.values))}-{_number(max(each.values))}"
        change = f"{each.median / old - 1:+.0%}" if old else ""
        times = ratio(each, figures)
        beside = "" if times is None else _number(times)
        lines.append(
            f"{each.what:52} {each.who:20} {_number(each.median):>10} {span:>19}  {each.unit:14} "
            f"{beside:>10} {change:>9}"
        )
    return "\n".join(lines)


def ratio(figure: Figure, figures: Sequence[Figure]) -> float | None:
    """Return how many times a peer's figure the gateway's is; None where there is nothing to compare."""
    key = (figure.part, figure.what, figure.unit)
    own = [each for each in figures if (each.part, each.what, each.unit) == key and each.who == GATEWAY]
    return own[0].median / figure.median if own and figure.who != GATEWAY and figure.median else None


def verdicts(judged: Sequence[Judged]) -> str:
    """Return a line a target: what was wanted, what came, and whether that is enough."""
    lines = [f"{'target':66} {'wanted':>24} {'measured':>10}  verdict"]
    for each in judged:
        target = each.target
        value = "-" if each.value is None else _number(each.value)
        words = f"{target.part}: {target.what}, {target.unit}"
        lines.append(f"{words:66} {target.words:>24} {value:>10}  {each.verdict.value}")
    return "\n".join(lines)


def document(
    figures: Sequence[Figure], targets: Sequence[Target], absent: Sequence[str], seconds: float
) -> dict[str, Any]:
    """Return the run for scripts and for the history."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "seconds": round(seconds),
        "absent": list(absent),
        "figures": [
            {
                "part": each.part,
                "what": each.what,
                "unit": each.unit,
                "who": each.who,
                "median": each.median,
                "values": list(each.values),
                "gateway_ratio": ratio(each, figures),
            }
            for each in figures
        ],
        "targets": [
            {
                "part": each.target.part,
                "what": each.target.what,
                "unit": each.target.unit,
                "wanted": each.target.words,
                "measured": each.value,
                "verdict": each.verdict.value,
            }
            for each in judge(targets, figures)
        ],
    }


def machine() -> dict[str, Any]:
    """Return what the figures hang on: cores, memory, versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1e9),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def last_figures(history: Path) -> list[dict[str, Any]]:
    """Return the newest figure of everything that earlier runs measured; parts may have run one by one."""
    newest: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    if history.is_file():
        for line in history.read_text("utf-8").splitlines():
            for each in json.loads(line)["figures"]:
                newest[each["part"], each["what"], each["unit"], each["who"]] = each
    return list(newest.values())


def remember(history: Path, run: dict[str, Any]) -> None:
    """Append the run to the history."""
    history.parent.mkdir(parents=True, exist_ok=True)
    with history.open("a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1 else f"{value:.2g}"
