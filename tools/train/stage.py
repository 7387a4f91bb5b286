"""The common code of all training stages: folder, budget, log and checkpoint.

A stage's folder has `settings.json` (arguments, seed, versions), `curve.jsonl` (a record of the loss every --log-every
steps), and `checkpoint.pt` (written to another name, then renamed, so that an interrupted write does not destroy the last
one). A stage that is started again in the same folder continues from its checkpoint.
"""
from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch._inductor.config as inductor


def arguments(description: str) -> argparse.ArgumentParser:
    """The arguments of every stage."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, default=Path("build/emoji/data"), help="folder written by prepare_data.mjs")
    parser.add_argument("--work", type=Path, default=Path("build/emoji/work"), help="folder of the stages' checkpoints")
    parser.add_argument("--diffusers", type=Path, help="src/ folder of a diffusers checkout; without it, the installed package")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def budget_arguments(parser: argparse.ArgumentParser, steps: int, batch: int, rate: float) -> None:
    """The budget of a stage: a number of steps, or minutes if --minutes is given."""
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--minutes", type=float, help="training time, instead of --steps; the schedule then depends on the time")
    parser.add_argument("--batch", type=int, default=batch, help="pictures per step on each GPU")
    parser.add_argument("--rate", type=float, default=rate, help="highest learning rate")
    parser.add_argument("--log-every", type=int, default=100)
    parser.add_argument("--save-seconds", type=float, default=60)
    parser.add_argument("--no-compile", action="store_true", help="without torch.compile: starts at once, steps take longer")


def prepare(args: argparse.Namespace) -> torch.device:
    """Makes diffusers importable, sets PyTorch's options for speed, and sets the seed of the random numbers."""
    if args.diffusers:
        sys.path.insert(0, str(args.diffusers))
    torch.manual_seed(args.seed)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    # channels last for all layers: by default, the compiler uses another layout for convolutions with fewer outputs
    # than inputs, and copies before and after each of them
    inductor.force_layout_optimization = True
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if torch.cuda.is_available() else torch.device("cpu")


def scheduled_rate(peak: float, fraction: float, step: int, warmup: int, floor: float = 0.01) -> float:
    """The learning rate: a linear warm-up over `warmup` steps, then half a cosine over the budget."""
    return peak * min(1.0, (step + 1) / warmup) * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, fraction))))


class Step:
    """One training step: `differentiate` returns the loss and writes the gradients, `update` applies them.

    On a GPU both become CUDA graphs, because the many small kernels of models this small need more time to launch than to run.
    A graph reads every tensor at its address at capture, so the learning rate is a tensor too.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, rate: torch.Tensor, differentiate: Callable[[], torch.Tensor],
                 update: Callable[[], None], graphs: bool, between: Callable[[], None] | None = None) -> None:
        self.rate, self.differentiate, self.update, self.between = rate, differentiate, update, between
        if graphs:
            self.capture(optimizer)

    def capture(self, optimizer: torch.optim.Optimizer) -> None:
        # the warm-up steps change nothing: their rate is 0, and the optimizer's state is restored
        saved = {p: {k: v.clone() for k, v in optimizer.state[p].items()} for p in optimizer.state}
        self.rate.zero_()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.differentiate()
                self.update()
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        first, second = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(first, capture_error_mode="thread_local"):
            loss = self.differentiate()
        with torch.cuda.graph(second, pool=first.pool(), capture_error_mode="thread_local"):
            self.update()
        for p, state in optimizer.state.items():
            for k, v in state.items():
                v.copy_(saved[p][k]) if p in saved else v.zero_()

        def replay() -> torch.Tensor:
            first.replay()
            return loss

        self.differentiate, self.update = replay, second.replay

    def __call__(self, rate: float) -> torch.Tensor:
        """Does the step. Returns the result of `differentiate`, which is valid until the next step."""
        self.rate.fill_(rate)
        loss = self.differentiate()
        if self.between:
            self.between()
        self.update()
        return loss


class Average:
    """An exponential moving average of parameters, kept in float32."""

    def __init__(self, parameters: list[torch.Tensor], decay: float) -> None:
        self.live = [p.detach() for p in parameters]
        self.mean = [p.clone() for p in self.live]
        self.decay = decay

    def update(self, step: int) -> None:
        # a smaller decay at the start, else the random initial values would stay in the mean for thousands of steps
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.mean, self.live, 1 - decay)

    def swap(self) -> None:
        """Exchanges the mean and the current values, before and after an evaluation."""
        for live, mean in zip(self.live, self.mean):
            keep = live.clone()
            live.copy_(mean)
            mean.copy_(keep)


class Stage:
    """The folder of a stage, and the used part of its budget."""

    def __init__(self, name: str, args: argparse.Namespace, lead: bool = True) -> None:
        self.folder = args.work / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.args = args
        self.lead = lead                   # whether this process writes, of several
        self.step = 0
        self.spent = 0.0                   # seconds of training in earlier runs of this stage
        self.started = time.monotonic()
        self.saved = self.started
        if lead:
            settings = {k: v for k, v in vars(args).items() if not isinstance(v, Path)}      # paths are not settings
            settings["torch"] = torch.__version__
            settings["device"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
            (self.folder / "settings.json").write_text(json.dumps(settings, indent=1) + "\n")

    def begin(self) -> None:
        """Starts the clock. Called after compilation and warm-up, so that the schedule covers only the training."""
        self.started = self.saved = time.monotonic()

    @property
    def elapsed(self) -> float:
        return self.spent + time.monotonic() - self.started

    def fraction(self) -> float:
        if self.args.minutes is not None:
            return self.elapsed / max(1e-9, 60 * self.args.minutes)
        return self.step / self.args.steps

    def log(self, **values: Any) -> None:
        if not self.lead:
            return
        record = {"step": self.step, "seconds": round(self.elapsed, 1), **values}
        line = json.dumps({k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in record.items()})
        with open(self.folder / "curve.jsonl", "a") as file:
            file.write(line + "\n")
        print(self.folder.name, line, flush=True)

    def load(self) -> dict[str, Any] | None:
        """The checkpoint of an earlier run of this stage, if there is one."""
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return None
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.step, self.spent = state["step"], state["seconds"]
        return state

    def save(self, **state: Any) -> None:
        if self.lead:
            path = self.folder / "checkpoint.pt"
            torch.save({"step": self.step, "seconds": self.elapsed, **state}, path.with_suffix(".new"))
            os.replace(path.with_suffix(".new"), path)
        self.saved = time.monotonic()

    def save_due(self) -> bool:
        return time.monotonic() - self.saved > self.args.save_seconds
