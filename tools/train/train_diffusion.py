#!/usr/bin/env python3
"""Stage 3: the UNet and both text encoders. Writes WORK/diffusion/checkpoint.pt.

The model is trained with v-prediction and zero terminal SNR, so that white backgrounds are drawn white. Latents and captions
are made once and kept on the GPU. Several GPUs: python3 -m torch.distributed.run --nproc_per_node=N train_diffusion.py ...
"""
from __future__ import annotations

import argparse
import os
import random
import time

import torch
import torch.distributed as dist

import bpe
import captions
import model
import pictures
import stage
from train_tiny import load_autoencoder

# The share of each kind of picture. Noto has the largest, because it is the style of a prompt without a style word.
SHARES = {"noto": 0.46, "fluent": 0.22, "flat": 0.22, "painted": 0.10}


def latents_of(vae: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    found = []
    with torch.no_grad():
        for i in range(0, len(images), 128):
            found.append(model.encode_mean(vae, pictures.as_float(images[i: i + 128])))
    return torch.cat(found)


def tokenised(things: list[captions.Thing], tokenizer: bpe.Tokenizer, count: int, seed: int) -> torch.Tensor:
    """`count` captions for each picture as ids (things, count, LENGTH)."""
    rng = random.Random(seed)
    rows = [[tokenizer.encode(captions.caption(t, rng)) for _ in range(count)] for t in things]
    return torch.tensor(rows, dtype=torch.int16).view(len(things), count, tokenizer.length)


def weights_of(things: list[captions.Thing]) -> torch.Tensor:
    kind = ["painted" if t.painted else t.style for t in things]
    total = {k: kind.count(k) for k in set(kind)}
    return torch.tensor([SHARES[k] / total[k] for k in kind])


class Batches:
    """Draws batches on the device, so that no step waits for the host."""

    def __init__(self, args: argparse.Namespace, device: torch.device, rank: int, tokenizer: bpe.Tokenizer) -> None:
        images, things, groups = pictures.load(args.data, device)
        painted, painted_things = pictures.repainted(images, things, groups, per_picture=args.colours, seed=args.seed)
        self.images = torch.cat([images, painted])
        self.latents = torch.randn(len(self.images), 4, 32, 32, device=device)       # until encode()
        captioned = [tokenised(things, tokenizer, args.captions, args.seed + rank)]
        if painted_things:      # the same number of columns, so that one index is enough
            few = tokenised(painted_things, tokenizer, 8, args.seed + 100 + rank)
            captioned.append(few.repeat(1, (args.captions + 7) // 8, 1)[:, : args.captions])
        self.ids = torch.cat(captioned).to(device)
        self.cumulative = weights_of(things + painted_things).cumsum(0).to(device)
        self.empty = torch.tensor(tokenizer.encode(""), dtype=torch.int16, device=device)
        signal = model.alphas_cumprod().to(device)
        self.signal, self.noise = signal.sqrt()[:, None, None, None], (1 - signal).sqrt()[:, None, None, None]
        # nearly clean latents teach invisible details: their weight falls if the signal is over 5 times the noise
        self.importance = (5 * (1 - signal) / signal.clamp_min(1e-8)).clamp_max(1)
        self.batch, self.device = args.batch, device
        self.text = f"{len(images)} pictures, {len(painted)} in other colours, {self.ids.shape[0] * self.ids.shape[1]} captions"

    def encode(self, vae: torch.nn.Module) -> None:
        """Writes the latents in place, because captured graphs read them at their address."""
        self.latents.copy_(latents_of(vae, self.images))
        del self.images

    def draw(self) -> dict[str, torch.Tensor]:
        n, device = self.batch, self.device
        index = torch.searchsorted(self.cumulative, torch.rand(n, device=device)).clamp_max(len(self.cumulative) - 1)
        ids = self.ids[index, torch.randint(0, self.ids.shape[1], (n,), device=device)]
        # a tenth without a prompt: half the empty text, half zeros, which diffusers uses without a negative prompt
        kind = torch.rand(n, device=device)
        ids = torch.where((kind < 0.05)[:, None], self.empty, ids).long()
        keep = (kind < 0.95).float()
        # timesteps: near pure noise, where the content is decided, there are twice as many as near the end
        u = torch.rand(n, device=device)
        t = (1000 * ((0.36 + 1.6 * u).sqrt() - 0.6) / 0.8).long().clamp(0, 999)
        z = self.latents[index]
        noise = torch.randn_like(z)
        a, b = self.signal[t], self.noise[t]
        # other sizes and crops must not change the result: the model is trained with some random ones
        sizes = torch.full((n, 6), 256.0, device=device)
        sizes[:, 2:4] = 0
        other = torch.randint(2, 9, (n, 6), device=device) * 64.0
        other[:, 2:4] = torch.randint(0, 65, (n, 2), device=device).float()
        sizes = torch.where(torch.rand(n, 1, device=device) < 0.1, other, sizes)
        noisy = (a * z + b * noise).contiguous(memory_format=torch.channels_last)
        target = (a * noise - b * z).contiguous(memory_format=torch.channels_last)
        return dict(noisy=noisy, target=target, t=t, ids=ids, keep=keep, sizes=sizes, weight=self.importance[t])


def main() -> None:
    parser = stage.arguments(__doc__.split("\n")[0])
    stage.budget_arguments(parser, steps=30000, batch=256, rate=1.2e-3)
    parser.add_argument("--captions", type=int, default=32, help="captions made for each picture")
    parser.add_argument("--colours", type=int, default=3, help="other colours made of each picture that has one")
    parser.add_argument("--start-from", help="folder of an exported model to start from, with a new optimizer")
    parser.add_argument("--wait", action="store_true", help="start while stage 1 is still training, and wait for its end")
    parser.add_argument("--profile", action="store_true", help="time the parts of a step and stop")
    args = parser.parse_args()
    device = stage.prepare(args)
    world, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    if world > 1:
        torch.cuda.set_device(device)
        dist.init_process_group("nccl", device_id=device)
    run = stage.Stage("diffusion", args, lead=rank == 0)
    start = time.monotonic()

    tokenizer = bpe.fitting(captions.word_counts(pictures.load_things(args.data)), model.VOCABULARY, model.LENGTH)
    if rank == 0:
        tokenizer.save(run.folder / "tokenizer")
    batches = Batches(args, device, rank, tokenizer)
    if rank == 0:
        print(batches.text, f"vocabulary {tokenizer.size}, {time.monotonic() - start:.1f} s", flush=True)

    torch.manual_seed(args.seed)                     # the same initial weights on every GPU
    first, second = (m.to(device) for m in model.text_encoders(tokenizer.size))
    unet = model.unet().to(device).to(memory_format=torch.channels_last)
    parts = {"unet": unet, "text_encoder": first, "text_encoder_2": second}
    if args.start_from:
        from export import read_part
        for name, part in parts.items():
            part.load_state_dict(read_part(args.start_from, name, part))
    torch.manual_seed(args.seed + 1000 * (rank + 1))
    named = [(n, p) for part in parts.values() for n, p in part.named_parameters()]
    weights = [p for _, p in named]
    decayed = [p for n, p in named if p.dim() > 1 and "embedding" not in n]
    plain = [p for n, p in named if not (p.dim() > 1 and "embedding" not in n)]
    cuda = device.type == "cuda"
    rate = torch.tensor(0.0, device=device)
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}],
                                  lr=rate, betas=(0.9, 0.99), fused=cuda, capturable=cuda)
    average = stage.Average(weights, 0.9995)
    if (state := run.load()) is not None:
        for name, part in parts.items():
            part.load_state_dict(state[name])
        if "optimizer" in state:
            optimizer.load_state_dict(state["optimizer"])
            for group in optimizer.param_groups:
                group["lr"] = rate
        for mean, saved in zip(average.mean, state["average"]):
            mean.copy_(saved)

    def objective(noisy, target, t, ids, keep, sizes, weight) -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            states, pooled = model.encode_text(first, second, ids)
            states, pooled = states * keep[:, None, None], pooled * keep[:, None]
            v = unet(noisy, t, encoder_hidden_states=states, added_cond_kwargs=dict(text_embeds=pooled, time_ids=sizes), return_dict=False)[
                0
            ]
        return ((v.float() - target).square().mean((1, 2, 3)) * weight).mean()

    compiled = objective if args.no_compile else torch.compile(objective, dynamic=False)
    gradients: list[torch.Tensor] = []
    flat = torch.empty(0)

    def differentiate() -> torch.Tensor:
        nonlocal gradients, flat
        for p in weights:
            p.grad = None
        loss = compiled(**batches.draw())
        loss.backward()
        gradients = [p.grad for p in weights if p.grad is not None]      # the unused last layer of encoder 1 has none
        if world > 1:
            flat = torch.cat([g.flatten() for g in gradients])           # one all-reduce instead of hundreds
        return loss.detach()

    def update() -> None:
        if world > 1:
            torch._foreach_copy_(gradients, [f.view_as(g) for f, g in zip(flat.split([g.numel() for g in gradients]), gradients)])
        torch.nn.utils.clip_grad_norm_([p for p in weights if p.grad is not None], 1.0, foreach=True)
        optimizer.step()

    share = (lambda: dist.all_reduce(flat, op=dist.ReduceOp.AVG)) if world > 1 else None
    advance = stage.Step(optimizer, rate, differentiate, update, cuda and not args.no_compile, share)

    if rank == 0:
        print(f"ready after {time.monotonic() - start:.1f} s", flush=True)
    if args.profile:
        profile(advance, batches)
        return
    batches.encode(load_autoencoder(args, device, wait=args.wait))
    if world > 1:
        dist.barrier()
    run.begin()
    kept, fraction = torch.zeros((), device=device), run.fraction()

    def state_now() -> dict[str, object]:
        return {**{name: part.state_dict() for name, part in parts.items()}, "average": average.mean, "optimizer": optimizer.state_dict()}

    while fraction < 1:
        kept += advance(stage.scheduled_rate(args.rate, fraction, run.step, warmup=300))
        run.step += 1
        average.update(run.step)
        if run.step % 10 == 0:               # all GPUs stop together: else the others would wait for one that stopped
            now = torch.tensor(run.fraction(), device=device)
            if world > 1:
                dist.broadcast(now, 0)
            fraction = now.item()
        if run.step % args.log_every == 0:
            run.log(loss=(kept / args.log_every).item(), pictures=run.step * args.batch * world)
            kept.zero_()
        if run.save_due():
            run.save(**state_now())
    run.save(**state_now())
    run.log(event="done", pictures=run.step * args.batch * world)
    if world > 1:
        dist.destroy_process_group()


def profile(advance: stage.Step, batches: Batches, steps: int = 40) -> None:
    """Prints milliseconds per step, those for drawing the batch alone, and the slowest kernels."""
    from torch.profiler import ProfilerActivity, profile as record

    def timed(call) -> float:
        for _ in range(5):
            call()
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(steps):
            call()
        torch.cuda.synchronize()
        return (time.perf_counter() - begin) / steps * 1e3

    print(f"a step {timed(lambda: advance(1e-4)):.2f} ms, drawing {timed(batches.draw):.2f} ms, batch {batches.batch}, "
          f"memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB", flush=True)
    with record(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as result:
        for _ in range(3):
            advance(1e-4)
        torch.cuda.synchronize()
    print(result.key_averages().table(sort_by="self_cuda_time_total", row_limit=30, max_name_column_width=70), flush=True)


if __name__ == "__main__":
    main()
