"""The loop of PyTorch: a network learns the sine on [-pi, pi] from 64 points."""

import math

import gradarray as ga
from gradarray import nn


def main(steps=1500):
    ga.random.seed(0)
    x = ga.linspace(-math.pi, math.pi, 64).reshape(-1, 1)
    y = ga.sin(x)

    hidden = [nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh()]
    model = nn.Sequential(*hidden, nn.Linear(32, 1))
    optimizer = ga.optim.Adam(model.parameters(), lr=1e-2)
    scheduler = ga.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    loss_fn = nn.MSELoss()

    for step in range(steps):
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        if step % (steps // 5) == 0 or step == steps - 1:
            print(f"step {step + 1:5}   loss {loss.item():.2e}")

    # The trained network is a function like any other: its derivative is near that of the sine.
    slope = ga.grad(lambda x: model(x).sum())(x)
    print("\n    x     model    sin x     slope    cos x")
    for k in range(0, 64, 9):
        at, found, tilt = x[k, 0].item(), model(x)[k, 0].item(), slope[k, 0].item()
        print(f"{at:6.2f}  {found:8.4f} {math.sin(at):8.4f}  {tilt:8.4f} {math.cos(at):8.4f}")
    return loss.item()


if __name__ == "__main__":
    main()
