"""L2 logistic regression of many labels at once.

Minimises, for each label, liblinear's objective (Fan et al., JMLR 2008; what DeepWalk's and FastRP's scripts call):

    f(w) = w'w / 2 + C * sum_i log(1 + exp(-y_i w'x_i)),   y_i in {-1, 1},   x_i ends in a 1 for the intercept

which is strongly convex, so every solver meets at one optimum. Here Newton's method with conjugate gradients works on
all labels together: each of its steps is a product of the shared features with a matrix that has a column per label.
The features are first turned to their principal axes, which leaves f as it is and makes the diagonal of the Hessian a
good preconditioner.
"""

from __future__ import annotations

import torch

# Rows times labels of the margins that exist at a time.
BLOCK = 8_000_000


def one_vs_rest(features: torch.Tensor, targets: torch.Tensor, C: float = 1.0, tolerance: float = 1e-4) -> torch.Tensor:
    """Return the (d + 1, L) float64 weights, intercept last, for features (n, d) and targets (n, L) bool.

    Stops a label when its gradient has shrunk to ``tolerance * min(#positive, #negative) / n`` of the first one, as
    liblinear does. O(n (d + L) + d^2) memory.
    """
    features = with_intercept(features)
    _, axes = torch.linalg.eigh(features.T @ features)
    features = features @ axes
    columns = max(1, BLOCK // max(1, len(features)))
    return torch.cat([axes @ _newton(features, part, C, tolerance) for part in targets.split(columns, dim=1)], dim=1)


def decide(features: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return (n, L) decision values; their order is that of the probabilities, without the ties of rounding."""
    return features.to(weights.dtype) @ weights[:-1] + weights[-1]


def with_intercept(features: torch.Tensor) -> torch.Tensor:
    """(n, d + 1) float64 features that end in a column of ones."""
    return torch.cat([features.double(), torch.ones(len(features), 1, dtype=torch.float64)], dim=1)


def _newton(x: torch.Tensor, targets: torch.Tensor, C: float, tolerance: float, iterations: int = 200) -> torch.Tensor:
    y = targets.double() * 2 - 1
    positive = targets.sum(0)
    scale = torch.minimum(positive, len(x) - positive).clamp(min=1) / len(x)
    w = x.new_zeros(x.shape[1], y.shape[1])
    z = torch.zeros_like(y)
    squares, goal = x * x, None
    todo = torch.arange(y.shape[1])
    for _ in range(iterations):
        wrong = torch.sigmoid(-y[:, todo] * z[:, todo])
        gradient = w[:, todo] - C * (x.T @ (y[:, todo] * wrong))
        norm = gradient.norm(dim=0)
        if goal is None:
            goal = tolerance * scale * norm
        open_ = norm > goal[todo]
        todo, wrong, gradient = todo[open_], wrong[:, open_], gradient[:, open_]
        if not len(todo):
            break
        step = _conjugate_gradients(x, squares, C * wrong * (1 - wrong), gradient)
        moved = x @ step
        rate = _line_search(w[:, todo], step, z[:, todo], moved, y[:, todo], C, gradient)
        w[:, todo] += rate * step
        z[:, todo] += rate * moved
        # No step that lowers f: rounding is all that is left of this label's gradient.
        todo = todo[rate > 0]
    return w


def _conjugate_gradients(x, squares, curvature, gradient, most: int = 200) -> torch.Tensor:
    """Solve (I + X' D X) s = -g for each column, to a tenth of g's length: Newton's step need not be more exact."""
    diagonal = 1 + squares.T @ curvature
    s, r = torch.zeros_like(gradient), -gradient
    u = r / diagonal
    p, ru = u.clone(), (r * u).sum(0)
    goal = 0.1 * gradient.norm(dim=0)
    for _ in range(most):
        active = r.norm(dim=0) > goal
        if not active.any():
            break
        p = torch.where(active, p, 0.0)
        hp = p + x.T @ (curvature * (x @ p))
        alpha = torch.where(active, ru / (p * hp).sum(0).clamp(min=1e-300), 0.0)
        s += alpha * p
        r -= alpha * hp
        u = r / diagonal
        following = (r * u).sum(0)
        p = u + following / ru.clamp(min=1e-300) * p
        ru = following
    return s


def _line_search(w, step, z, moved, y, C: float, gradient) -> torch.Tensor:
    """Return (L,) step lengths 1, 1/2, 1/4, ... that lower f enough (Armijo); 0 where none does."""

    def value(rate):
        loss = torch.nn.functional.softplus(-y * (z + rate * moved)).sum(0)
        return ((w + rate * step) ** 2).sum(0) / 2 + C * loss

    start, slope = value(torch.zeros_like(w[0])), (gradient * step).sum(0)
    rate = torch.ones_like(slope)
    for _ in range(30):
        bad = value(rate) > start + 1e-4 * rate * slope
        if not bad.any():
            return rate
        rate = torch.where(bad, rate / 2, rate)
    return torch.where(bad, 0.0, rate)
