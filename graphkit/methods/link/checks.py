"""Checks that claims of the link methods run in place of a training: a data set in, figures out."""

from __future__ import annotations

from graphkit.lazy import np, torch


def kernel_exactness(dataset, pairs: int = 2000) -> dict[str, float]:
    """Compare the set kernel with SciPy's row algebra, and untrained NCNC with pt = 0 with NCN.

    Returns ``wrong_sets``, the number of ``pairs`` random pairs whose common or one-sided neighbours differ, and
    ``largest_difference`` between the logits of the two models, which share their weights.
    """
    from graphkit.kernels.neighbour_sets import neighbour_sets, neighbour_sets_scipy
    from graphkit.methods.link.ncnc import NCNC

    torch.manual_seed(0)
    ncn, ncnc = NCNC(variant="ncn"), NCNC(variant="ncnc", pt=0.0)
    for learner in (ncn, ncnc):
        learner.prepare(dataset, seed=0, device="cpu")
    weights = {key.replace("pool_mlps.common", "pool_mlps.completed"): value for key, value in ncn.state_dict().items()}
    ncnc.load_state_dict(weights)
    drawn = np.random.default_rng(0).integers(dataset.num_nodes, size=(pairs, 2))
    found = neighbour_sets(ncn.graph.rows(), ncn.graph.rows(), drawn)
    expected = neighbour_sets_scipy(ncn.graph.to_scipy(), drawn)
    wrong = sum(
        found.node[a:b].tolist() != expected.node[c:d].tolist() or found.kind[a:b].tolist() != expected.kind[c:d].tolist()
        for a, b, c, d in zip(found.ptr[:-1], found.ptr[1:], expected.ptr[:-1], expected.ptr[1:])
    )
    difference = (ncn.score_pairs(torch.from_numpy(drawn)) - ncnc.score_pairs(torch.from_numpy(drawn))).abs().max()
    return {"wrong_sets": float(wrong), "largest_difference": float(difference)}
