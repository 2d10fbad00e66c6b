"""The manner of Keras: compile, fit with callbacks, evaluate, predict; and a step of one's own."""

from pathlib import Path

import gradarray as ga
from gradarray.train import datasets


class Smooth(ga.Sequential):
    """Trained so that a small change of the image changes the answer little."""

    def train_step(self, data):
        x, y = data
        y_pred = self(x)
        loss = self.compute_loss(x, y, y_pred)
        noisy = self(x + 0.1 * ga.random.normal(size=x.shape, dtype=x.dtype))
        wobble = ((noisy - y_pred) ** 2).mean()
        self.optimizer.zero_grad()
        (loss + 0.1 * wobble).backward()
        self.optimizer.step()
        return self.compute_metrics(x, y, y_pred, loss=loss) | {"wobble": wobble}


def main(folder=Path("runs"), epochs=20):
    folder.mkdir(exist_ok=True)
    ga.random.seed(0)
    (x, y), (x_test, y_test) = datasets.digits()
    model = Smooth([ga.nn.Linear(64, 64), ga.nn.ReLU()])
    model.add(ga.nn.Linear(64, 10))
    model.compile(
        optimizer=ga.optim.Adam(model.parameters(), lr=3e-3),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy", ga.train.metrics.TopKCategoricalAccuracy(k=2, name="top_2")],
    )
    best = folder / "best.safetensors"
    callbacks = [
        ga.train.EarlyStopping(patience=5, restore_best_weights=True, verbose=1),
        ga.train.ReduceLROnPlateau(factor=0.5, patience=2, verbose=1),
        ga.train.ModelCheckpoint(best, save_best_only=True, save_weights_only=True),
        ga.train.CSVLogger(folder / "epochs.csv"),
        ga.train.TerminateOnNaN(),
    ]
    model.fit(
        x, y, batch_size=64, epochs=epochs, validation_split=0.2, callbacks=callbacks, verbose=2
    )
    print()
    model.summary()
    scores = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    print("\ntest  " + "  ".join(f"{name} {value:.4f}" for name, value in scores.items()))
    print(f"answers {model.predict(x_test[:12]).argmax(axis=1)}\nlabels  {y_test[:12]}")
    return scores["accuracy"]


if __name__ == "__main__":
    main()
