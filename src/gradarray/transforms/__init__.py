"""Walks over the recorded graph: graph in, graph (or numbers) out."""
