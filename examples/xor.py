"""XOR, which no single neuron can do: with fit, and in four lines a step; the weights are equal."""

import gradarray as ga

X = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
Y = [[0.0], [1.0], [1.0], [0.0]]


def network():
    ga.random.seed(1)
    return ga.Sequential(ga.nn.Linear(2, 4), ga.nn.Tanh(), ga.nn.Linear(4, 1))


def with_fit(epochs):
    model = network()
    model.compile(
        optimizer=ga.optim.Adam(model.parameters(), lr=0.05),
        loss=ga.nn.BCEWithLogitsLoss(),
        metrics=["accuracy"],
        run_eagerly=True,  # op by op, as the four lines are; compiled they agree to rounding
    )
    history = model.fit(X, Y, epochs=epochs, shuffle=False, verbose=0).history
    for epoch in (0, epochs // 4, epochs - 1):
        loss, accuracy = history["loss"][epoch], history["accuracy"][epoch]
        print(f"epoch {epoch + 1:4}   loss {loss:.6f}   accuracy {accuracy:.2f}")
    return model


def in_four_lines(epochs):
    model = network()
    optimizer = ga.optim.Adam(model.parameters(), lr=0.05)
    loss_fn = ga.nn.BCEWithLogitsLoss()
    x, y = ga.array(X), ga.array(Y)
    for _ in range(epochs):
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def main(epochs=400):
    model, same = with_fit(epochs), in_four_lines(epochs)
    print("\n x1  x2  XOR  probability")
    p = ga.sigmoid(model(X))
    for (x1, x2), (wanted,), (found,) in zip(X, Y, p.tolist()):
        print(f"{x1:3.0f} {x2:3.0f} {wanted:4.0f}  {found:.3f}")
    a, b = model.state_dict(), same.state_dict()
    equal = all((a[name] == b[name]).all() for name in a)
    print(f"\nfit and the four lines gave the same weights, bit for bit: {equal}")
    return equal and bool(((p > 0.5) == (ga.array(Y) > 0.5)).all())


if __name__ == "__main__":
    main()
