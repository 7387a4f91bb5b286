#!/usr/bin/env python3
"""Stage 2: AutoencoderTiny for the latents of stage 1. Writes WORK/tiny/checkpoint.pt.

The decoder learns pictures from the latents of the large encoder. A little noise is added to them, because the latents of the
diffusion are never exact. The encoder learns the latents. The two are trained independently, so each can replace the encoder
or decoder of the large autoencoder.
"""
from __future__ import annotations

import argparse
import math
import time

import torch

import model
import pictures
import reconstruction
import stage


def load_autoencoder(args: argparse.Namespace, device: torch.device, wait: bool = False) -> torch.nn.Module:
    """The result of stage 1. With `wait`, stage 1 may still be running."""
    path = args.work / "autoencoder" / "checkpoint.pt"
    while True:
        state = torch.load(path, map_location="cpu", weights_only=True) if path.exists() else {}
        if "final" in state:
            break
        if not wait:
            raise SystemExit(f"{path}: stage 1 has not finished; run train_autoencoder.py first")
        time.sleep(1)
    vae = model.vae()
    vae.load_state_dict(state["final"])
    return vae.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)


def quality(vae: torch.nn.Module, tiny: torch.nn.Module, images: torch.Tensor) -> tuple[float, float, float]:
    """PSNR of the tiny decoder after the large encoder (mean over pictures; of the mean error), and of both tiny halves."""
    errors, both = [], []
    with torch.no_grad():
        for i in range(0, len(images), 64):
            x = pictures.as_float(images[i: i + 64])
            for found, z in ((errors, model.encode_mean(vae, x)), (both, tiny.encoder(x))):
                found.append((tiny.decoder(z).clamp(-1, 1) - x).square().mean((1, 2, 3)) / 4)
    e, b = torch.cat(errors), torch.cat(both)
    return (-10 * e.log10()).mean().item(), -10 * math.log10(e.mean().item()), (-10 * b.log10()).mean().item()


def main() -> None:
    parser = stage.arguments(__doc__.split("\n")[0])
    stage.budget_arguments(parser, steps=5000, batch=32, rate=1.5e-3)
    args = parser.parse_args()
    device = stage.prepare(args)
    run = stage.Stage("tiny", args)
    images, _, _ = pictures.load(args.data, device)
    vae = load_autoencoder(args, device)
    tiny = model.tiny().to(device).to(memory_format=torch.channels_last)

    def objective(x: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        with torch.autocast(device.type, torch.bfloat16):
            with torch.no_grad():
                z = model.encode_mean(vae, x).float()
            y = tiny.decoder(z + 0.05 * noise)
            guess = tiny.encoder(x)
        loss, error = reconstruction.picture_loss(y.float(), x)
        apart = (guess.float() - z).square().mean()
        return loss + apart, error.detach(), apart.detach()

    state = reconstruction.train(run, args, device, images, tiny, objective, "latent_error")
    each, overall, both = quality(vae, tiny, images)
    run.log(event="done", psnr_mean=each, psnr_of_mean_error=overall, psnr_tiny_encoder=both)
    run.save(**state, final={k: v.contiguous() for k, v in tiny.state_dict().items()})


if __name__ == "__main__":
    main()
