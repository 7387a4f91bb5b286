"""Facts about the machine: its processor, its memory, and an NVIDIA card's driver (NVML, through ctypes).

A missing fact is None, never a guess.
"""
from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return os.uname().machine


def cpu_memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def resident_peak_bytes() -> int:
    """The peak memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmHWM")


class _Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class Card:
    """The first NVIDIA card in CUDA_VISIBLE_DEVICES, with the figures of its driver."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libnvidia-ml.so.1")
        self._call("nvmlInit_v2")
        self._handle = ctypes.c_void_p()
        first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
        if first.startswith("GPU-"):
            self._call("nvmlDeviceGetHandleByUUID", first.encode(), ctypes.byref(self._handle))
        else:
            self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(int(first or 0)), ctypes.byref(self._handle))

    def _call(self, name: str, *arguments) -> None:
        status = getattr(self._library, name)(*arguments)
        if status != 0:
            raise OSError(f"{name}: status {status}")

    def name(self) -> str:
        text = ctypes.create_string_buffer(96)
        self._call("nvmlDeviceGetName", self._handle, text, ctypes.c_uint(len(text)))
        return text.value.decode()

    def memory(self) -> tuple[int, int]:
        """The bytes of the whole card, and the bytes that all processes together use."""
        memory = _Memory()
        self._call("nvmlDeviceGetMemoryInfo", self._handle, ctypes.byref(memory))
        return memory.total, memory.used

    def joules(self) -> float | None:
        """The energy since the driver was loaded; None if the card does not measure it (before Volta, most virtual ones)."""
        millijoules = ctypes.c_ulonglong()
        try:
            self._call("nvmlDeviceGetTotalEnergyConsumption", self._handle, ctypes.byref(millijoules))
        except OSError:
            return None
        return millijoules.value / 1000


def card() -> Card | None:
    try:
        return Card()
    except (OSError, AttributeError, ValueError):
        return None


class PeakOfCard:
    """The peak memory in use on the card, minus that at the start, read every 10 ms."""

    def __init__(self, watched: Card) -> None:
        self._card = watched
        self._before = self._peak = watched.memory()[1]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.01):
            self._peak = max(self._peak, self._card.memory()[1])

    def stop(self) -> int:
        self._over.set()
        self._thread.join()
        return self._peak - self._before
