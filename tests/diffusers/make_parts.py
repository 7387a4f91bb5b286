#!/usr/bin/env python3
"""Computes every part of a model with diffusers, for parts_test.

usage: make_parts.py MODEL OUT [--size 1024]

MODEL is a diffusers folder, such as the output of `tempera synth --preset sdxl-base MODEL`. The script writes to OUT:
parts.safetensors, a link `model` to MODEL and a link `taesd` to MODEL's tiny autoencoder. After that,
`TEMPERA_REFERENCE_DIR=OUT parts_test --gtest_filter='Card/*'` compares. Needs torch, transformers, safetensors and
diffusers. All computations are in float32 without TF32, on a GPU if there is one.
"""

import argparse
import pathlib

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection

TOKENS, BEGIN, END = 77, 49406, 49407


def token_rows(generator, padding):
    """Three prompts of 3, 20 and 75 random words."""
    rows = torch.full((3, TOKENS), padding)
    for row, words in zip(rows, (3, 20, 75)):
        row[0] = BEGIN
        row[1:words + 1] = torch.randint(1000, 40000, (words,), generator=generator)
        row[words + 1] = END
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--size", type=int, default=1024, help="side of the picture in pixels")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.set_grad_enabled(False)
    generator = torch.Generator().manual_seed(3)
    latent = arguments.size // 8
    parts = {}

    def noise(*shape):
        return torch.randn(shape, generator=generator).to(device)

    def load(kind, folder):
        return kind.from_pretrained(arguments.model / folder, torch_dtype=torch.float32).to(device).eval()

    def keep(**tensors):
        parts.update({name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items()})

    # The second encoder uses the largest id as the end of a prompt, so its padding is 0.
    tokens_1, tokens_2 = token_rows(generator, END), token_rows(generator, 0)
    encoder = load(CLIPTextModel, "text_encoder")
    hidden = encoder(tokens_1.to(device), output_hidden_states=True).hidden_states[-2]
    keep(tokens_1=tokens_1, te1_penultimate=hidden)
    encoder = load(CLIPTextModelWithProjection, "text_encoder_2")
    result = encoder(tokens_2.to(device), output_hidden_states=True)
    keep(tokens_2=tokens_2, te2_penultimate=result.hidden_states[-2], te2_pooled=result.text_embeds)
    del encoder

    unet = load(UNet2DConditionModel, "unet")
    text, pooled = noise(2, TOKENS, unet.config.cross_attention_dim), noise(2, result.text_embeds.shape[-1])
    size = float(arguments.size)
    time_ids = torch.tensor([[size, size, 0, 0, size, size]] * 2, device=device)
    sample, timestep = noise(2, 4, latent, latent), torch.tensor([601.0], device=device)
    prediction = unet(
        sample, timestep, text, added_cond_kwargs={"text_embeds": pooled, "time_ids": time_ids}, return_dict=False
    )[0]
    keep(
        negative_prompt_embeds=text[:1], prompt_embeds=text[1:], negative_pooled_prompt_embeds=pooled[:1],
        pooled_prompt_embeds=pooled[1:], unet_in=sample, unet_timestep=timestep, unet_time_ids=time_ids,
        unet_out=prediction,
    )
    del unet

    vae = load(AutoencoderKL, "vae")
    z, image = noise(1, 4, latent, latent), noise(1, 3, arguments.size, arguments.size).clamp(-1, 1)
    moments = vae.encode(image).latent_dist
    keep(
        vae_latent=z, vae_decoded=vae.decode(z / vae.config.scaling_factor).sample, vae_image=image,
        vae_mean=moments.mean, vae_logvar=moments.logvar,
    )
    tiny = load(AutoencoderTiny, "vae_tiny")
    keep(tae_decoded=tiny.decode(z).sample, tae_encoded=tiny.encode(image).latents)

    arguments.out.mkdir(parents=True, exist_ok=True)
    save_file(parts, arguments.out / "parts.safetensors")
    for name, target in (("model", arguments.model), ("taesd", arguments.model / "vae_tiny")):
        link = arguments.out / name
        link.unlink(missing_ok=True)
        link.symlink_to(target.resolve())


if __name__ == "__main__":
    main()
