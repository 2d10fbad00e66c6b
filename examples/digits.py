"""Train classifiers on real images, check a gradient three ways, save the model and its curves."""

import copy
from pathlib import Path

import gradarray as ga
from gradarray.train import datasets


def train(name, split, hidden, epochs, batch_size, folder):
    (x, y), (x_test, y_test) = split
    print(f"\n{name}: {len(x):,} images to train on, {len(x_test):,} to test on\n")
    ga.random.seed(0)
    model = ga.Sequential(ga.nn.Linear(x.shape[1], hidden), ga.nn.ReLU(), ga.nn.Linear(hidden, 10))
    model.summary(x[:1])
    print()
    model.compile(optimizer="adam", loss="cross_entropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size, epochs, validation_split=0.1)
    print(f"\n  test accuracy  {model.evaluate(x_test, y_test, verbose=0)[1]:.2%}")
    saved, picture = folder / f"{name}.safetensors", folder / f"{name}.png"
    model.save(saved)
    again = ga.load(saved)
    again.compile(loss="cross_entropy", metrics=["accuracy"])
    print(f"  saved          {saved}, {saved.stat().st_size / 1e3:.0f} kB")
    print(f"  loaded again   {again.evaluate(x_test, y_test, verbose=0)[1]:.2%}")
    print(f"  curves         {picture}")
    history.plot(picture, title=name)
    return model


def check_gradient(model, x, y, h=1e-5):
    exact = copy.deepcopy(model).double()
    w = exact.parameters_dict()
    v = {path: ga.random.normal(size=p.shape) / p.size**0.5 for path, p in w.items()}

    def loss(w):
        return ga.nn.functional.cross_entropy(ga.nn.functional_call(exact, w, x), y)

    def moved(t):
        return loss({path: p.detach() + t * v[path] for path, p in w.items()})

    gradient = ga.grad(loss)(w)
    print("\n  the slope of the loss along a random direction v of all weights, three ways")
    print(f"  reverse  grad(loss) . v  {sum((gradient[path] * v[path]).sum() for path in v):.15f}")
    print(f"  forward  jvp(loss, v)    {ga.jvp(loss, (w,), (v,))[1]:.15f}")
    print(f"  neither  differences     {(moved(h) - moved(-h)) / (2 * h):.15f}")


def main(folder=Path("runs"), epochs=30, fashion_epochs=5):
    folder.mkdir(exist_ok=True)
    digits = datasets.digits()
    check_gradient(train("digits", digits, 128, epochs, 32, folder), *digits.train)
    if datasets.fashion_mnist_available():
        clothes = [(x.reshape(len(x), -1), y) for x, y in datasets.fashion_mnist()]
        train("fashion-mnist", clothes, 128, fashion_epochs, 128, folder)


if __name__ == "__main__":
    main()
