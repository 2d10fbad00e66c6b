"""The compiler: a recorded step becomes one native function. trace -> program -> code -> run."""
