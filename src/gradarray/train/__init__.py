"""Training in Keras's manner: models, callbacks, metrics, data, files."""
