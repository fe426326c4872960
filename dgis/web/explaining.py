"""`/api/explain`: why a caller may or may not, to oneself as far as one may know, to administrators in full.

Posted, because an original UID identifies a patient and URLs are kept by everybody on the way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from catalog.audit import trail
from catalog.audit.values import Event, Happening, Json, Outcome
from catalog.callers import Caller, Right
from catalog.credentials.values import Verified
from catalog.release import named
from dgis.configuration import Configuration
from dgis.explain import Explanation, Line, Operation, explain
from dgis.identity.authenticate import Authenticator
from dgis.identity.supposed import NobodySuch, Presented, by_assertions, by_peer
from dgis.web.logins import Logins, address_of, caller_of
from dgis.web.problems import Problem

_MOST_FACTS = 64
_UNKNOWN = Line("the study", "nothing by this UID that this caller may have", holds=False)


class Question(BaseModel):
    """Whether somebody may do something with a study; without `caller`, whoever asks."""

    model_config = ConfigDict(extra="forbid")

    study: Annotated[
        str, Field(pattern=r"^[0-9.]{1,64}$", description="Study Instance UID: original, or pseudonym")
    ]
    operation: Right = Right.FIND
    original: bool | None = None
    caller: Annotated[
        list[Annotated[str, Field(max_length=256)]] | None,
        Field(max_length=_MOST_FACTS, description="AE_TITLE@ADDRESS, or field=value once for each fact"),
    ] = None


@dataclass(frozen=True, slots=True)
class Explaining:
    """Answers questions of one door, recorded by `writer`; `rehearsal` says who would be admitted."""

    configuration: Configuration
    engine: sa.Engine
    rehearsal: Authenticator
    writer: str
    clock_ms: Callable[[], int]

    def answer(self, asker: Caller, address: str, question: Question) -> dict[str, Any]:
        """Return the explanation, recorded first.

        Only who administers the study hears of other callers and of what is hidden from the asker.

        Raises:
            Problem: 403 where the question is about somebody else and the asker does not administer the
                study, or there is none; 400 where no such caller can be.
            SQLAlchemyError: the database does not answer, or does not take the record.
        """
        now_ms = self.clock_ms()
        administering = Operation(Right.ADMINISTER, original=False)
        administers = _in_full(self._explained(asker, administering, question.study, now_ms))
        refused = question.caller is not None and not administers
        self._record(asker, address, question, now_ms, refused=refused)
        if refused:
            words = "only who administers a study may ask that about others"
            raise Problem(403, "not_administered", words, recorded=True)
        about = asker if question.caller is None else self._supposed(question.caller)
        wanted = Operation(question.operation, question.original)
        explanation = self._explained(about, wanted, question.study, now_ms)
        return (explanation if administers else for_oneself(explanation)).json()

    def _explained(self, caller: Caller, operation: Operation, study: str, now_ms: int) -> Explanation:
        with self.engine.execution_options(read_only=True).connect() as connection:
            return explain(connection, caller, operation, study, now_ms)

    def _supposed(self, facts: Sequence[str]) -> Caller:
        try:
            if len(facts) == 1 and "@" in facts[0] and "=" not in facts[0]:
                return by_peer(self.configuration, self.rehearsal, self.engine, facts[0], Presented())
            return by_assertions(facts)
        except (NobodySuch, ValueError) as error:
            raise Problem(400, "nobody_such", str(error), recorded=True) from None

    def _record(self, asker: Caller, address: str, question: Question, now_ms: int, *, refused: bool) -> None:
        outcome = Outcome.MINOR_FAILURE if refused else Outcome.SUCCESS
        detail: dict[str, Json] = {
            "door": "http",
            "how": "explain",
            "operation": question.operation.value,
            "query": {"root": "study", "level": "STUDY", "keys": {"StudyInstanceUID": [question.study]}},
            "about": [*(question.caller or ())],
        }
        happening = Happening(Event.QUERY, named(asker), outcome, address, detail=detail)
        with self.engine.begin() as connection:
            trail.append(connection, self.writer, [happening], now_ms)


def for_oneself(explanation: Explanation) -> Explanation:
    """Return of an explanation what its caller may know: what it asserts, and what is granted to it.

    Where nothing is granted the answer is that to a UID that nobody has ever used.
    """
    introduced = tuple(line for line in explanation.steps if line.about.startswith("the caller "))
    granted: list[Line] = []
    if explanation.granted:
        rest = explanation.steps[len(introduced) :]
        for _about, lines in groupby(rest, key=lambda line: line.about):
            part = list(lines)
            granted += part if all(line.holds for line in part) else []
    found = bool(granted)
    operation = explanation.operation if found else explanation.operation.split(" ", 1)[0]
    steps = (*introduced, *granted) if found else (*introduced, _UNKNOWN)
    return replace(explanation, granted=found, operation=operation, steps=steps)


def _in_full(explanation: Explanation) -> bool:
    """Whether every part of the study is administered, published or not; of no study nothing is."""
    decided = [line.holds for line in explanation.steps if line.right == Right.ADMINISTER.value]
    return bool(decided) and all(decided)


def routes(explaining: Explaining, logins: Logins) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api", tags=["access"])

    @router.post("/explain")
    def explanation(
        request: Request, question: Question, who: Annotated[Verified, Depends(logins.admit)]
    ) -> dict[str, Any]:
        """Say why a caller may or may not do something with a study."""
        return explaining.answer(caller_of(who), address_of(request), question)

    return router
