#!/usr/bin/env python3
"""Stage 1: AutoencoderKL on all pictures. Writes WORK/autoencoder/checkpoint.pt with the averaged weights, normalised.

The loss is the sum of:
- the pixel differences (absolute and squared);
- the differences of gradients at three scales, which keep edges sharp;
- KL with a small weight. Its noise makes the decoder robust against small errors of the diffusion, and removes information
  from latents of white background.
The channels of a quarter of the pictures are permuted, so that colours that the icons do not have are decoded as well.
After training, the mean and deviation of the latents are folded into the 1 x 1 convolutions between encoder and decoder.
Latents then have mean 0 and deviation 1 in each channel, and scaling_factor is 1.
"""
from __future__ import annotations

import math

import torch

import model
import pictures
import reconstruction
import stage


def normalise(vae: torch.nn.Module, images: torch.Tensor) -> tuple[list[float], list[float]]:
    """Folds the latents' mean and deviation into quant_conv and post_quant_conv, exactly."""
    total = square = count = 0
    with torch.no_grad():
        for i in range(0, len(images), 64):
            z = model.encode_mean(vae, pictures.as_float(images[i: i + 64])).double()
            total, square, count = total + z.sum((0, 2, 3)), square + z.square().sum((0, 2, 3)), count + z[:, 0].numel()
        mean = (total / count).float()
        deviation = (square / count - (total / count).square()).sqrt().float()
        out, back = vae.quant_conv, vae.post_quant_conv
        c = len(mean)
        back.bias += (back.weight[:, :, 0, 0] @ mean[:, None])[:, 0]
        back.weight *= deviation[None, :, None, None]
        out.bias[:c] = (out.bias[:c] - mean) / deviation
        out.weight[:c] /= deviation[:, None, None, None]
        out.bias[c:] -= 2 * deviation.log()
    return mean.tolist(), deviation.tolist()


def quality(vae: torch.nn.Module, images: torch.Tensor) -> tuple[float, float]:
    """PSNR of reconstructions: the mean over pictures, and the PSNR of the mean error."""
    errors = []
    with torch.no_grad():
        for i in range(0, len(images), 64):
            x = pictures.as_float(images[i: i + 64])
            y = model.decode(vae, model.encode_mean(vae, x)).clamp(-1, 1)
            errors.append((y - x).square().mean((1, 2, 3)) / 4)
    e = torch.cat(errors)
    return (-10 * e.log10()).mean().item(), -10 * math.log10(e.mean().item())


def main() -> None:
    parser = stage.arguments(__doc__.split("\n")[0])
    stage.budget_arguments(parser, steps=9000, batch=32, rate=1.5e-3)
    parser.add_argument("--kl", type=float, default=0.002, help="weight of the mean KL of a latent")
    args = parser.parse_args()
    device = stage.prepare(args)
    run = stage.Stage("autoencoder", args)
    images, _, _ = pictures.load(args.data, device)
    vae = model.vae().to(device).to(memory_format=torch.channels_last)

    def objective(x: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        with torch.autocast(device.type, torch.bfloat16):
            moments = vae.quant_conv(vae.encoder(x)).float()
            mean, log_variance = moments.chunk(2, 1)
            log_variance = log_variance.clamp(-20, 10)
            y = model.decode(vae, mean + (0.5 * log_variance).exp() * noise)
        loss, error = reconstruction.picture_loss(y.float(), x)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        return loss + args.kl * kl, error.detach(), kl.detach()

    state = reconstruction.train(run, args, device, images, vae, objective, "kl")
    mean, deviation = normalise(vae, images)
    each, overall = quality(vae, images)
    run.log(event="done", psnr_mean=each, psnr_of_mean_error=overall, latent_mean=mean, latent_deviation=deviation)
    run.save(**state, final={k: v.contiguous() for k, v in vae.state_dict().items()})


if __name__ == "__main__":
    main()
