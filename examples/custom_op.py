"""An op of one's own: Kepler's equation M = E - e sin E, solved for E, with its derivatives.

Newton's method runs on plain NumPy arrays; the rule is the implicit function theorem,

    dE/dM = 1 / (1 - e cos E),    dE/de = sin E / (1 - e cos E),

written in gradarray functions, so that it is differentiable again: forward mode and derivatives of
every order follow from it.
"""

import numpy as np

import gradarray as ga
from gradarray.testing import check


class KeplerGrad(ga.Grad):
    """The eccentric anomaly E of a body with mean anomaly M on an orbit of eccentricity e."""

    @staticmethod
    def forward(M, e):
        E = M + e * np.sin(M)
        for _ in range(50):
            E = E - (E - e * np.sin(E) - M) / (1 - e * np.cos(E))
        return E

    @staticmethod
    def backward(y_bar, e, y):
        slope = y_bar / (1 - e * ga.cos(y))
        return slope, slope * ga.sin(y)


kepler = KeplerGrad.apply


def distance(M, e):
    """From the sun, in units of the semi-major axis."""
    return 1 - e * ga.cos(kepler(M, e))


def main():
    M, e = ga.linspace(0.3, 3.0, 4), ga.array(0.6)
    print(f"E      {kepler(M, e)}")
    print(f"dE/dM  {ga.grad(lambda M: kepler(M, e).sum())(M)}")
    print(f"       {1 / (1 - e * ga.cos(kepler(M, e)))}, the closed form\n")

    # The speed away from the sun is dr/dM, the acceleration the second derivative.
    speed = ga.grad(distance)
    forward = ga.jvp(distance, (1.0, 0.6), (1.0, 0.0))[1]
    print(f"at M = 1: r {distance(1.0, e):.6f}   r'' {ga.grad(speed)(1.0, e):.6f}")
    print(f"r' {speed(1.0, e):.15f} in reverse mode\n   {forward:.15f} in forward mode\n")
    print("digits to which all ways to the derivatives agree")
    report = check(distance, M, e)
    print(report)
    return report.digits


if __name__ == "__main__":
    main()
