"""Work shared out over threads: everything is done once, errors come back, and neither nesting nor a fork stops it."""

import multiprocessing
import threading

import pytest
import torch

from graphkit.graph.threads import in_ranges, in_threads


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_every_item_is_done_once(threads, count):
    done = []
    in_threads(done.append, count)
    assert sorted(done) == list(range(count))


def test_threads_run_at_the_same_time(threads):
    meeting = threading.Barrier(threads, timeout=10)
    in_threads(lambda k: meeting.wait(), threads)


@pytest.mark.parametrize("least", [1, 10, 1000])
def test_ranges_cover_the_work(threads, least):
    found = []
    in_ranges(lambda start, stop: found.append((start, stop)), 100, least)
    found.sort()
    assert [start for start, _ in found] == [0, *(stop for _, stop in found[:-1])] and found[-1][1] == 100
    assert len(found) == 1 or all(stop - start >= least for start, stop in found)


def test_an_error_comes_back(threads):
    def work(k):
        if k == 5:
            raise ValueError("item 5")

    with pytest.raises(ValueError, match="item 5"):
        in_threads(work, 10)


def test_threads_may_share_out_work_of_their_own(threads):
    done = []
    in_threads(lambda k: in_threads(lambda j: done.append((k, j)), 4), 4)
    assert sorted(done) == [(k, j) for k in range(4) for j in range(4)]


def _sum_in_child(queue):
    done = []
    in_threads(done.append, 10)
    queue.put(sum(done))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this platform does not fork")
def test_a_forked_process_has_threads_of_its_own(threads):
    in_threads(lambda k: None, 10)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_sum_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=20) == 45
    child.join(20)
    assert child.exitcode == 0
