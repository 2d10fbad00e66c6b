"""What scipy.optimize is handed, against SciPy's own derivatives, and what comes back."""

import numpy as np
import pytest
import scipy.optimize
from scipy.optimize import rosen, rosen_der, rosen_hess, rosen_hess_prod

import gradarray as ga
from gradarray.transforms.scipy_bridge import optimize

START = np.linspace(-1.2, 1.3, 10)


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def handed(monkeypatch, name, call):
    """The arguments with which SciPy is called."""
    seen = {}
    real = getattr(scipy.optimize, name)

    def spy(fun, x0, *args, **kwargs):
        seen.update(kwargs, fun=fun, x0=x0)
        return real(fun, x0, *args, **kwargs)

    monkeypatch.setattr(optimize, name, spy, raising=False)
    call()
    return seen


@pytest.mark.parametrize(
    "method",
    ["CG", "BFGS", "L-BFGS-B", "TNC", "SLSQP", "Newton-CG", "trust-ncg", "trust-krylov",
     "trust-constr", "dogleg", "trust-exact"],
)  # fmt: skip
def test_minimize_is_handed_exact_derivatives(monkeypatch, method):
    more = {"options": {"maxfun" if method == "TNC" else "maxiter": 3}}
    with np.errstate(all="ignore"):
        seen = handed(
            monkeypatch, "minimize", lambda: ga.minimize(rosenbrock, START, method=method, **more)
        )
    x, v = np.linspace(0.5, 1.4, 10), np.linspace(-1, 1, 10)
    value, slope = seen["fun"](x)
    assert value == pytest.approx(rosen(x), rel=1e-13)
    np.testing.assert_allclose(slope, rosen_der(x), rtol=1e-12, atol=1e-11)
    if method in ("Newton-CG", "trust-ncg", "trust-krylov", "trust-constr"):
        product = rosen_hess_prod(x, v)
        np.testing.assert_allclose(seen["hessp"](x, v), product, rtol=1e-12, atol=1e-10)
    elif method in ("dogleg", "trust-exact"):
        np.testing.assert_allclose(seen["hess"](x), rosen_hess(x), rtol=1e-12, atol=1e-10)
    else:
        assert not {"hess", "hessp"} & seen.keys()


@pytest.mark.parametrize(
    "method", [None, "Nelder-Mead", "BFGS", "L-BFGS-B", "Newton-CG", "trust-ncg", "trust-exact"]
)
def test_minimize_arrives(method):
    start = START[:3] if method == "Nelder-Mead" else START
    found = ga.minimize(rosenbrock, start, method=method)
    assert found.success
    assert isinstance(found.x, ga.GradArray)
    np.testing.assert_allclose(found.x.numpy(), np.ones(len(start)), atol=1e-3)


def test_constraints_have_exact_derivatives():
    # The point of the unit circle that is nearest to (2, 1).
    circle = {"type": "eq", "fun": lambda p: p["x"] ** 2 + p["y"] ** 2 - 1}
    far = lambda p: (p["x"] - 2) ** 2 + (p["y"] - 1) ** 2
    found = ga.minimize(far, {"x": 1.0, "y": 0.5}, method="SLSQP", constraints=circle)
    assert found.x["x"].item() == pytest.approx(2 / 5**0.5, abs=1e-6)
    assert found.x["y"].item() == pytest.approx(1 / 5**0.5, abs=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
def test_least_squares_is_handed_the_jacobian(monkeypatch, sparse):
    residuals = lambda x: ga.concatenate([10 * (x[1:] - x[:-1] ** 2), 1 - x[:-1]])
    out = []
    seen = handed(
        monkeypatch,
        "least_squares",
        lambda: out.append(ga.least_squares(residuals, START, sparse=sparse)),
    )
    x = np.linspace(0.5, 1.4, 10)
    jac = seen["jac"](x)
    jac = jac.toarray() if sparse else jac
    # By hand: each residual has two neighbours, or one.
    exact = np.zeros((18, 10))
    k = np.arange(9)
    exact[k, k], exact[k, k + 1], exact[9 + k, k] = -20 * x[:-1], 10, -1
    np.testing.assert_allclose(jac, exact, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(out[0].x.numpy(), np.ones(10), atol=1e-7)


@pytest.mark.parametrize("method", ["hybr", "lm", "krylov"])
def test_root_is_handed_the_jacobian(monkeypatch, method):
    # The tridiagonal equations of Broyden.
    def equations(x):
        left = ga.concatenate([[0.0], x[:-1]])
        right = ga.concatenate([x[1:], [0.0]])
        return (3 - 2 * x) * x - left - 2 * right + 1

    out = []
    seen = handed(
        monkeypatch, "root", lambda: out.append(ga.root(equations, -np.ones(6), method=method))
    )
    if method != "krylov":
        x = np.linspace(-1, 1, 6)
        exact = np.diag(3 - 4 * x) - np.diag(np.ones(5), -1) - 2 * np.diag(np.ones(5), 1)
        np.testing.assert_allclose(seen["jac"](x), exact, rtol=1e-14, atol=1e-14)
    assert out[0].success
    assert np.abs(equations(out[0].x).numpy()).max() < 1e-5


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ga.minimize(rosenbrock, START, jac=rosen_der), "jac= is not taken"),
        (lambda: ga.least_squares(lambda x: x, START, jac=None), "jac= is not taken"),
        (lambda: ga.root(lambda x: x, START, jac=None), "jac= is not taken"),
        (lambda: ga.minimize(lambda x: x, START), r"returned shape \(10,\), not a scalar"),
        (lambda: ga.root(lambda x: x[:3], START), "3 equations for 10 unknowns"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises((TypeError, ValueError), match=words):
        call()
