"""The codebook against its equations written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graphkit.methods.node.largegt.quantize import BatchNorm, Codebook


class Plain:
    """The equations of the codebook, step by step, in double precision."""

    def __init__(self, book, decay=0.99, momentum=0.1):
        self.e, self.counts, self.sums = (
            getattr(book, name).double().numpy().copy() for name in ("unit", "counts", "sums")
        )
        self.assignments, self.decay, self.momentum = book.assignments.numpy().copy(), decay, momentum
        self.mean, self.var = np.zeros(self.e.shape[1]), np.ones(self.e.shape[1])

    def update(self, z, nodes):
        z = z.astype(np.float64)
        if len(z) > 1:
            zb = (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5)
            self.mean = (1 - self.momentum) * self.mean + self.momentum * z.mean(0)
            self.var = (1 - self.momentum) * self.var + self.momentum * z.var(0, ddof=1)
        else:
            zb = (z - self.mean) / np.sqrt(self.var + 1e-5)
        nearest = np.array([((row - self.e) ** 2).sum(1).argmin() for row in zb])
        self.assignments[nodes] = nearest
        for c in range(len(self.e)):
            self.counts[c] = self.decay * self.counts[c] + (1 - self.decay) * (nearest == c).sum()
            self.sums[c] = self.decay * self.sums[c] + (1 - self.decay) * zb[nearest == c].sum(0)
        total, size = self.counts.sum(), len(self.e)
        self.counts = (self.counts + 1e-5) / (total + size * 1e-5) * total
        self.e = self.sums / self.counts[:, None]
        self.output = self.e * np.sqrt(self.var + 1e-5) + self.mean


def test_updates_equal_the_equations():
    torch.manual_seed(0)
    book, rng = Codebook(60, 150, 4), np.random.default_rng(0)  # so many that smoothing shows in the counts
    plain = Plain(book)
    for size in (16, 7, 1, 60, 1, 20, 20):
        z, nodes = (2 * rng.standard_normal((size, 4)) + 1).astype(np.float32), rng.permutation(60)[:size]
        book.update(torch.from_numpy(z), torch.from_numpy(nodes))
        plain.update(z, nodes)
        for mine, theirs in (
            (book.unit, plain.e),
            (book.counts, plain.counts),
            (book.sums, plain.sums),
            (book.centroids, plain.output),
        ):
            np.testing.assert_allclose(mine.numpy(), theirs, rtol=2e-4, atol=2e-5)
        assert (book.assignments.numpy() == plain.assignments).all() and book.assignments.dtype == torch.int32
        assert (book.members.numpy() == np.bincount(plain.assignments, minlength=150)).all()


def test_starts_empty_with_sums_that_are_not_the_centroids():
    torch.manual_seed(5)
    book = Codebook(10, 400, 50)
    assert not book.counts.any()
    for values in (book.unit, book.sums):
        assert abs(float(values.mean())) < 0.05 and abs(float(values.std()) - 1) < 0.05
    assert abs(float((book.unit * book.sums).mean())) < 0.05  # drawn apart
    before = book.sums.clone()
    book.update(torch.randn(10, 50), torch.arange(10))
    # A batch of 10 weighs 0.1 in all; what nothing reached has a count of eps and stands as far away as its drawn sum
    # says.
    missed = torch.ones(400, dtype=torch.bool)
    missed[book.assignments.long()] = False
    share = 0.1 / (0.1 + 400 * 1e-5)
    torch.testing.assert_close(book.counts[missed], torch.full((int(missed.sum()),), 1e-5 * share), rtol=1e-4, atol=0)
    torch.testing.assert_close(book.unit[missed], before[missed] * 0.99 / (1e-5 * share), rtol=1e-3, atol=1e-3)
    assert float(book.counts.sum()) == pytest.approx(0.1, rel=1e-4)  # smoothing keeps the total


def test_empty_centroids_are_minus_infinity():
    torch.manual_seed(1)
    book = Codebook(10, 50, 3)
    empty = book.members == 0
    assert empty.any() and torch.isneginf(book.log_members()[empty]).all()
    torch.testing.assert_close(book.log_members().exp(), book.members.float())
    book.update(torch.randn(10, 3), torch.arange(10))
    assert torch.isfinite(book.centroids).all()


def test_centroids_find_the_clusters_of_the_data():
    torch.manual_seed(2)
    centres = torch.tensor([[10.0, 0.0], [-10.0, 0.0], [0.0, 10.0]])
    member = torch.arange(300) % 3
    book = Codebook(300, 12, 2)
    for _ in range(400):
        book.update(centres[member] + 0.1 * torch.randn(300, 2), torch.arange(300))
    used = book.members > 0
    assert torch.cdist(centres, book.centroids[used]).min(1).values.max() < 0.5
    for cluster in range(3):  # no centroid serves two clusters
        others = book.assignments[member != cluster]
        assert not torch.isin(book.assignments[member == cluster], others).any()


def test_reassigning_changes_assignments_alone():
    torch.manual_seed(3)
    book = Codebook(40, 6, 3)
    book.update(torch.randn(40, 3), torch.arange(40))
    before = {key: value.clone() for key, value in book.state_dict().items()}
    z = 3 * torch.randn(15, 3)
    book.reassign(z, torch.arange(15))
    changed = {key for key, value in book.state_dict().items() if not torch.equal(value, before[key])}
    assert changed <= {"assignments", "members"} and book.members.sum() == 40
    nearest = torch.cdist((z - book.norm.running_mean) / (book.norm.running_var + 1e-5).sqrt(), book.unit).argmin(1)
    assert torch.equal(book.assignments[:15].long(), nearest)
    assert torch.equal(book.assignments[15:], before["assignments"][15:])


def test_frozen_assignments_stay_while_centroids_move():
    book = Codebook(20, 4, 2, frozen=True)
    before = book.assignments.clone(), book.centroids.clone()
    book.update(torch.randn(20, 2), torch.arange(20))
    assert torch.equal(book.assignments, before[0]) and not torch.equal(book.centroids, before[1])


def test_all_state_is_in_the_state_dict():
    torch.manual_seed(4)
    book, other = Codebook(20, 4, 2), Codebook(20, 4, 2)
    book.update(torch.randn(20, 2), torch.arange(20))
    other.load_state_dict(book.state_dict())
    z = torch.randn(8, 2)
    for one in (book, other):
        one.update(z, torch.arange(8))
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in book.state_dict().items())
    assert not list(book.parameters())


def test_more_centroids_than_16_bits_hold():
    book = Codebook(10, 40_000, 1)
    book.assign(torch.arange(10), torch.full((10,), 39_999))
    assert book.assignments.tolist() == [39_999] * 10 and book.members[-1] == 10


@pytest.mark.parametrize("affine", [False, True])
def test_batch_norm_takes_a_batch_of_one(affine):
    norm, reference = BatchNorm(3, affine=affine), torch.nn.BatchNorm1d(3, affine=affine)
    x = torch.randn(6, 3)
    torch.testing.assert_close(norm(x), reference(x))
    before = norm.running_mean.clone()
    torch.testing.assert_close(norm(x[:1]), reference.eval()(x[:1]))
    assert torch.equal(norm.running_mean, before)
