"""One neuron learns OR: y = sigmoid(w . x + b), trained in four lines a step."""

import gradarray as ga


def main(steps=2000):
    ga.random.seed(0)
    x = ga.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = ga.array([[0.0], [1.0], [1.0], [1.0]])

    neuron = ga.nn.Sequential(ga.nn.Linear(2, 1), ga.nn.Sigmoid())
    optimizer = ga.optim.SGD(neuron.parameters(), lr=2.0)
    mse = ga.nn.MSELoss()

    for step in range(steps):
        loss = mse(neuron(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in (0, steps // 10, steps - 1):
            print(f"step {step + 1:5}   loss {loss.item():.6f}")

    linear = neuron[0]
    (w1, w2), b = linear.weight.tolist()[0], linear.bias.item()
    print(f"\ny = sigmoid({w1:.2f} x1 + {w2:.2f} x2 - {-b:.2f})\n\n x1  x2   OR     y")
    answers = neuron(x)
    for (x1, x2), (wanted,), (found,) in zip(x.tolist(), y.tolist(), answers.tolist()):
        print(f"{x1:3.0f} {x2:3.0f} {wanted:4.0f}  {found:.3f}")
    return bool(((answers > 0.5) == (y > 0.5)).all())


if __name__ == "__main__":
    main()
