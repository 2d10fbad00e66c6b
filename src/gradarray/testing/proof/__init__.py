"""The proof that derivatives are right, op by op, and the pages that show it (`make proof`)."""
