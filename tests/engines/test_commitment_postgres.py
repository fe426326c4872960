"""Tests of storage commitment once more, on PostgreSQL: rows are locked there, and have policies."""

import threading

import pytest

from tests.unit.dgis.commitment.asking import Asking, references
from tests.unit.dgis.commitment.test_judge import (
    asking,  # noqa: F401 (a fixture, found by name)
    test_a_transaction_uid_is_used_once_by_each_requestor,  # noqa: F401
    test_an_erased_patients_instances_are_forgotten,  # noqa: F401
    test_open_transactions_of_one_requestor_are_bounded,  # noqa: F401
    test_two_workers_judge_a_transaction_once,  # noqa: F401
    test_what_comes_after_the_question_is_found,  # noqa: F401
    test_what_every_copy_gives_back_is_committed,  # noqa: F401
)
from tests.unit.dgis.commitment.test_oracle import *  # noqa: F403 (every test of that file)
from tests.unit.dgis.commitment.test_reports import (
    test_a_destination_that_is_not_cleared_is_not_told,  # noqa: F401
    test_a_door_keeps_what_it_holds_from_others_while_it_lives,  # noqa: F401
    test_a_report_goes_to_the_destination_of_the_calling_title_in_the_role_of_a_provider,  # noqa: F401
    test_an_association_that_ends_meanwhile_leaves_its_report_to_another,  # noqa: F401
    test_the_decision_is_that_of_the_moment_the_report_leaves,  # noqa: F401
)
from tests.unit.dgis.site import Site, phantom


@pytest.fixture
def site(tmp_path, postgres_url):
    """A whole gateway on PostgreSQL, its nodes in memory."""
    site = Site(tmp_path, postgres_url)
    yield site
    site.close()


def test_workers_that_race_judge_each_transaction_once(site):
    images = phantom(2)
    site.publish(images)
    askings = [Asking(site, name=f"gateway-{number}") for number in range(3)]
    for number in range(12):
        askings[0].ask(references(images), uid=f"1.{number}")
    done = []

    def work(worker):
        while worker.judge.run_once():
            done.append(worker)

    threads = [threading.Thread(target=work, args=(each,)) for each in askings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(done) == 12
    assert [(row.state, row.committed) for row in askings[0].transactions] == [("judged", 2)] * 12
