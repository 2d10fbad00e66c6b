"""Random numbers from a seed, by a counter-based generator whose state is arrays.

The functions draw from `default_generator`, which starts with seed 0: the same program gives the
same numbers, and `ga.random.seed(n)` chooses others. A `Generator` of one's own is a stream apart.
What is drawn is a function of the generator's key and counter, two GradArrays; so recording,
batching and compiling see random numbers as they see anything else.

>>> import gradarray as ga
>>> ga.random.seed(0)
>>> ga.random.uniform(size=3)
GradArray([0.8805202 , 0.60548185, 0.36209112], dtype=float64)
"""

from ..namespace import visible as _visible
from . import log_prob
from .generator import Generator

default_generator = Generator(0)

seed = default_generator.seed
state_dict = default_generator.state_dict
load_state_dict = default_generator.load_state_dict
uniform = default_generator.uniform
normal = default_generator.normal
truncated_normal = default_generator.truncated_normal
exponential = default_generator.exponential
laplace = default_generator.laplace
gumbel = default_generator.gumbel
logistic = default_generator.logistic
gamma = default_generator.gamma
beta = default_generator.beta
dirichlet = default_generator.dirichlet
multivariate_normal = default_generator.multivariate_normal
bernoulli = default_generator.bernoulli
integers = default_generator.integers
categorical = default_generator.categorical
gumbel_softmax = default_generator.gumbel_softmax
permutation = default_generator.permutation
choice = default_generator.choice


def __dir__() -> list[str]:
    return _visible(globals(), "log_prob")
