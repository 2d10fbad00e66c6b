"""What can be computed: one declaration per op, nothing else."""
