"""Handwritten digits on several processes that hold the same arrays. Two of them on this machine:

    torchrun --standalone --nproc-per-node 2 examples/data_parallel.py

Each sees its own images; all send the same pulses. docs/parallel.md says what else there is.
"""

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import mho
from mho import parallel
from mho.data import load

EPOCHS, BATCH, LR = 3, 8, 0.1


def main() -> None:
    dist.init_process_group("gloo")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    mho.set_threads(max(1, mho.get_threads() // ranks))
    mho.deterministic(True)

    digits = load("digits")
    images = TensorDataset(digits.x_train, digits.y_train)
    sampler = DistributedSampler(images, seed=0)  # a share of the images for each rank
    loader = DataLoader(images, BATCH, sampler=sampler)

    torch.manual_seed(0)  # the same first weights everywhere
    model = nn.Sequential(nn.Linear(64, 48), nn.Tanh(), nn.Linear(48, 10))
    device = mho.Device(mho.responses.SoftBounds(), dw_min=1e-3, sigma_c2c=0.3)
    mho.convert_(model, mho.Crossbar(algorithm=mho.algorithms.ResidualLearning(fast_lr=LR), device=device))
    optimizer = mho.AnalogOptimizer(model, lr=LR)
    parallel.connect(model, optimizer)

    for epoch in range(1, EPOCHS + 1):
        sampler.set_epoch(epoch)
        total = torch.zeros(())
        for images, labels in loader:
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.detach() / len(loader) / ranks
        dist.all_reduce(total)
        parallel.assert_identical(model)
        if rank == 0:
            model.eval()
            accuracy = (model(digits.x_test).argmax(dim=1) == digits.y_test).float().mean()
            model.train()
            print(f"epoch {epoch}: loss {total:.4f}, test accuracy {accuracy:.3f}, {ranks} ranks agree")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
