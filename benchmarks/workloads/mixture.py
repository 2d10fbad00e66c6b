"""A Gaussian mixture's log-likelihood, its inverse covariances' factors as lower triangles.

The objective of ADBench (Srajer, Kukelova & Fitzgibbon, "A benchmark of selected algorithmic
differentiation tools on some problems in computer vision and machine learning", Optimization
Methods and Software 33, 2018), without constant
terms, gamma = 1 and m = 0.
"""

from typing import Any

import numpy as np

from . import Job

TITLE = "Gaussian mixture log-likelihood, d=10, k=25, n=1,000, float64, gradient"
BAR, LIMIT, RTOL = 2, 0.25, 1e-9
D, K, N = 10, 25, 1_000

RNG = np.random.default_rng(1)
ALPHAS, MEANS = RNG.standard_normal(K), RNG.uniform(0, 1, (K, D))
FACTORS = 0.3 * RNG.standard_normal((K, D * (D + 1) // 2))  # log-diagonals, then what is below
X = RNG.standard_normal((N, D))
ROWS, COLUMNS = np.tril_indices(D, -1)
# Where each entry of a factor stands among (the diagonal, what is below it, a zero).
PLACES = np.full((D, D), D * (D + 1) // 2)
PLACES[np.diag_indices(D)] = np.arange(D)
PLACES[ROWS, COLUMNS] = D + np.arange(len(ROWS))


def likelihood(alphas: Any, means: Any, factors: Any, Q: Any, x: Any, xp: Any) -> Any:
    """`Q` are the (K, D, D) lower triangles that `factors` hold."""
    centred = xp.einsum("kij,nj->nki", Q, x) - xp.einsum("kij,kj->ki", Q, means)
    terms = alphas + factors[:, :D].sum(1) - 0.5 * (centred**2).sum(2)
    data = xp.logsumexp(terms, 1).sum() - N * xp.logsumexp(alphas, 0)
    return data + 0.5 * (Q**2).sum()


def ours() -> Job:
    import gradarray as ga

    from ._gradarray import called

    x = ga.array(X)

    def f(alphas: Any, means: Any, factors: Any) -> Any:
        exact = [ga.exp(factors[:, :D]), factors[:, D:], ga.zeros((K, 1))]
        Q = ga.concatenate(exact, axis=1)[:, PLACES]
        return likelihood(alphas, means, factors, Q, x, ga)

    return called(ga.value_and_grad(f, (0, 1, 2)), ALPHAS, MEANS, FACTORS)


def in_torch() -> Job:
    from ._torch import pulled, torch

    x, rows, columns = torch.tensor(X), torch.tensor(ROWS), torch.tensor(COLUMNS)

    def f(alphas: Any, means: Any, factors: Any) -> Any:
        Q = torch.diag_embed(torch.exp(factors[:, :D]))
        Q[:, rows, columns] = factors[:, D:]
        return likelihood(alphas, means, factors, Q, x, torch)

    return pulled(f, ALPHAS, MEANS, FACTORS)


def in_jax() -> Job:
    from ._jax import called, jax, jnp

    class Names:
        einsum, logsumexp = jnp.einsum, jax.nn.logsumexp

    def f(alphas: Any, means: Any, factors: Any) -> Any:
        Q = jax.vmap(jnp.diag)(jnp.exp(factors[:, :D])).at[:, ROWS, COLUMNS].set(factors[:, D:])
        return likelihood(alphas, means, factors, Q, X, Names)

    return called(jax.value_and_grad(f, (0, 1, 2)), ALPHAS, MEANS, FACTORS)


CONTENDERS = {"gradarray": ours, "PyTorch": in_torch, "JAX": in_jax}
