"""The common code of the stages that train an autoencoder: the loss of a picture, the augmentation, and the training loop."""
from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

import pictures
import stage

Objective = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]


def picture_loss(y: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of a reconstruction, and its mean squared error over pixels in [0, 1]."""
    error = y - x
    squared = error.square().mean()
    loss = error.abs().mean() + 2 * squared
    for k in (1, 2, 4):       # differences are linear: the error of the differences is the difference of the error
        e = F.avg_pool2d(error, k) if k > 1 else error
        loss = loss + 0.5 * ((e[..., 1:] - e[..., :-1]).abs().mean() + (e[..., 1:, :] - e[..., :-1, :]).abs().mean())
    return loss, squared / 4


def varied(batch: torch.Tensor) -> torch.Tensor:
    """Mirrors half of the pictures and permutes the colour channels of a quarter."""
    n = len(batch)
    mirror = torch.rand(n, 1, 1, 1, device=batch.device) < 0.5
    batch = torch.where(mirror, batch.flip(3), batch)
    order = torch.rand(n, 3, device=batch.device).argsort(1)
    same = torch.arange(3, device=batch.device).expand(n, 3)
    order = torch.where(torch.rand(n, 1, device=batch.device) < 0.25, order, same)
    return batch.gather(1, order[:, :, None, None].expand_as(batch))


def train(run: stage.Stage, args: argparse.Namespace, device: torch.device, images: torch.Tensor, network: torch.nn.Module,
          objective: Objective, third: str) -> dict[str, Any]:
    """Trains `network` for its budget, from the stage's checkpoint if there is one.

    `objective` has two arguments, pictures and noise of the latents' shape. It returns the loss, the mean squared error over
    pixels, and a third value, which has the name `third` in the log. The result is the content of the checkpoint of an
    unfinished stage. After the call, the network has the averaged weights.
    """
    weights = list(network.parameters())
    cuda = device.type == "cuda"
    rate = torch.tensor(0.0, device=device)
    optimizer = torch.optim.AdamW(weights, lr=rate, betas=(0.9, 0.99), weight_decay=1e-4, fused=cuda, capturable=cuda)
    average = stage.Average(weights, 0.998)
    if (state := run.load()) is not None:
        network.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        optimizer.param_groups[0]["lr"] = rate
        for mean, saved in zip(average.mean, state["average"]):
            mean.copy_(saved)

    compiled = objective if args.no_compile else torch.compile(objective, dynamic=False)

    def draw() -> torch.Tensor:
        index = torch.randint(0, len(images), (args.batch,), device=device)
        return varied(pictures.as_float(images[index])).contiguous(memory_format=torch.channels_last)

    def differentiate() -> torch.Tensor:
        for p in weights:
            p.grad = None
        loss, *rest = compiled(draw(), torch.randn(args.batch, 4, 32, 32, device=device))
        loss.backward()
        return torch.stack([loss.detach(), *rest])

    def update() -> None:
        torch.nn.utils.clip_grad_norm_(weights, 0.5, foreach=True)
        optimizer.step()

    advance = stage.Step(optimizer, rate, differentiate, update, cuda and not args.no_compile)
    run.begin()
    kept = torch.zeros(3, device=device)
    while run.fraction() < 1:
        kept += advance(stage.scheduled_rate(args.rate, run.fraction(), run.step, warmup=150))
        run.step += 1
        average.update(run.step)
        if run.step % args.log_every == 0:
            loss, error, figure = (kept / args.log_every).tolist()
            kept.zero_()
            run.log(**{"loss": loss, "psnr": -10 * math.log10(error), third: figure})
        if run.save_due():
            run.save(model=network.state_dict(), optimizer=optimizer.state_dict(), average=average.mean)
    trained = [t.clone() for t in average.mean]
    live = {k: v.clone() for k, v in network.state_dict().items()}
    average.swap()
    return {"model": live, "optimizer": optimizer.state_dict(), "average": trained}
