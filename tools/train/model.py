"""The parts of the small SDXL, their sizes and their cost.

The architecture is that of SDXL with small widths:
- a UNet with three levels; the two lower ones have cross-attention to the text; pooled text and picture sizes are added to the
  time embedding;
- two CLIP text encoders;
- an autoencoder with a factor of eight and four channels.
The widths are chosen so that all weights are at most 28 MiB in float16.
"""
from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

VOCABULARY = 3072        # ids of the tokenizers
LENGTH = 77              # tokens of a prompt: that of CLIP, which other SDXL programs may assume
TEXT1, TEXT2 = 64, 128   # widths of the text encoders

UNET: dict[str, Any] = dict(
    sample_size=32, in_channels=4, out_channels=4, flip_sin_to_cos=True, freq_shift=0,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    block_out_channels=(64, 128, 192), layers_per_block=1, cross_attention_dim=TEXT1 + TEXT2,
    attention_head_dim=(2, 4, 6), transformer_layers_per_block=(1, 1, 1), use_linear_projection=True,
    addition_embed_type="text_time", addition_time_embed_dim=32, projection_class_embeddings_input_dim=TEXT2 + 6 * 32,
    norm_num_groups=32)
VAE: dict[str, Any] = dict(
    block_out_channels=(24, 48, 64, 72), down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    in_channels=3, out_channels=3, latent_channels=4, layers_per_block=1, norm_num_groups=8, sample_size=256,
    scaling_factor=1.0, force_upcast=False)
TINY: dict[str, Any] = dict(
    encoder_block_out_channels=(32,) * 4, decoder_block_out_channels=(32,) * 4,
    num_encoder_blocks=(1, 1, 2, 3), num_decoder_blocks=(4, 3, 2, 1), latent_channels=4)
SCHEDULER: dict[str, Any] = dict(
    num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="v_prediction",
    rescale_betas_zero_snr=True, timestep_spacing="trailing", interpolation_type="linear", use_karras_sigmas=False, steps_offset=0)

DEFAULTS: dict[str, Any] = dict(num_inference_steps=20, guidance_scale=3.0)      # tempera's defaults with this model


def clip_config(vocabulary: int, width: int, layers: int, act: str) -> Any:
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, num_attention_heads=width // 32,
        max_position_embeddings=LENGTH, hidden_act=act, projection_dim=width, bos_token_id=vocabulary - 2, eos_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1)


def text_encoders(vocabulary: int) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Both text encoders. SDXL uses the second to last layer of both, and the projection of the last layer of the second."""
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    first = CLIPTextModel(clip_config(vocabulary, TEXT1, 2, "quick_gelu"))
    second = CLIPTextModelWithProjection(clip_config(vocabulary, TEXT2, 3, "gelu"))
    for model in (first, second):
        for module in model.modules():
            if isinstance(module, torch.nn.Embedding):      # CLIP's 0.02 is for 400 million pairs; few steps need more
                torch.nn.init.normal_(module.weight, std=0.1 if module.num_embeddings == vocabulary else 0.02)
    return first, second


def unet() -> torch.nn.Module:
    from diffusers import UNet2DConditionModel

    model = UNet2DConditionModel(**UNET)
    torch.nn.init.zeros_(model.conv_out.weight)
    torch.nn.init.zeros_(model.conv_out.bias)
    return model


def vae() -> torch.nn.Module:
    from diffusers import AutoencoderKL

    return AutoencoderKL(**VAE)


def tiny() -> torch.nn.Module:
    from diffusers import AutoencoderTiny

    return AutoencoderTiny(**TINY)


def hidden_states(model: torch.nn.Module, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The second to last and the normalised last states of a CLIP text model.

    The computation of transformers without its hooks: its forward collects hidden states with hooks, which cannot be compiled.
    """
    core = getattr(model, "text_model", model)
    x = core.embeddings.token_embedding(ids) + core.embeddings.position_embedding.weight[: ids.shape[1]]
    before = x
    for layer in core.encoder.layers:
        before = x
        attention = layer.self_attn
        y = layer.layer_norm1(x)
        n, t, c = y.shape
        q, k, v = (p(y).view(n, t, -1, 32).transpose(1, 2) for p in (attention.q_proj, attention.k_proj, attention.v_proj))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(n, t, c)
        x = x + attention.out_proj(y)
        y = layer.mlp.fc1(layer.layer_norm2(x))
        y = y * torch.sigmoid(1.702 * y) if model.config.hidden_act == "quick_gelu" else F.gelu(y)
        x = x + layer.mlp.fc2(y)
    return before, core.final_layer_norm(x)


def encode_text(first: torch.nn.Module, second: torch.nn.Module, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids (N, T) to the states (N, T, 192) that the UNet attends to and the pooled text (N, 128)."""
    end = (ids == second.config.eos_token_id).int().argmax(1)      # the first end token; the others are padding
    states1, _ = hidden_states(first, ids)
    states2, last = hidden_states(second, ids)
    pooled = second.text_projection(last[torch.arange(len(ids), device=ids.device), end])
    return torch.cat([states1, states2], -1), pooled


def encode_mean(vae: torch.nn.Module, pictures: torch.Tensor) -> torch.Tensor:
    """Latents without the posterior's noise. The diffusion model is trained on them."""
    return vae.quant_conv(vae.encoder(pictures)).chunk(2, 1)[0]


def decode(vae: torch.nn.Module, latents: torch.Tensor) -> torch.Tensor:
    return vae.decoder(vae.post_quant_conv(latents))


def alphas_cumprod() -> torch.Tensor:
    """diffusers' zero-terminal-SNR schedule: scaled-linear betas, rescaled so that the last signal level is 0."""
    betas = torch.linspace(SCHEDULER["beta_start"] ** 0.5, SCHEDULER["beta_end"] ** 0.5, 1000, dtype=torch.float64) ** 2
    signal = (1 - betas).cumprod(0).sqrt()
    signal = (signal - signal[-1]) * signal[0] / (signal[0] - signal[-1])
    return (signal ** 2).float()


def counts(vocabulary: int, device: torch.device) -> dict[str, dict[str, float]]:
    """Numbers of parameters, and of multiply-adds in one forward pass for a 256 x 256 picture, in millions."""
    from torch.utils.flop_counter import FlopCounterMode

    first, second = (m.to(device).eval() for m in text_encoders(vocabulary))
    u, v, t = unet().to(device).eval(), vae().to(device).eval(), tiny().to(device).eval()
    ids = torch.zeros(1, LENGTH, dtype=torch.long, device=device)
    z, picture = torch.zeros(1, 4, 32, 32, device=device), torch.zeros(1, 3, 256, 256, device=device)
    text, pooled = torch.zeros(1, LENGTH, TEXT1 + TEXT2, device=device), torch.zeros(1, TEXT2, device=device)
    size = lambda *modules: sum(p.numel() for m in modules for p in m.parameters()) / 1e6  # noqa: E731
    rows: dict[str, dict[str, float]] = {}
    for name, parameters, call in (
            ("text encoders", size(first, second), lambda: encode_text(first, second, ids)),
            ("UNet", size(u), lambda: u(z, torch.zeros(1, device=device), encoder_hidden_states=text,
                                        added_cond_kwargs=dict(text_embeds=pooled, time_ids=torch.zeros(1, 6, device=device)))),
            ("VAE encoder", size(v.encoder, v.quant_conv), lambda: encode_mean(v, picture)),
            ("VAE decoder", size(v.decoder, v.post_quant_conv), lambda: decode(v, z)),
            ("tiny encoder", size(t.encoder), lambda: t.encoder(picture)),
            ("tiny decoder", size(t.decoder), lambda: t.decoder(z))):
        counter = FlopCounterMode(display=False)
        with torch.no_grad(), counter:
            call()
        rows[name] = {"parameters_millions": round(parameters, 3), "macs_millions": round(counter.get_total_flops() / 2e6, 1)}
    return rows
