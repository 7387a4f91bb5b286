// The interface of a device: a table of kernels, memory, and a function that turns a step with fixed addresses into a
// launch. Implementations are in backend/<name>/ and do not include each other.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backend/energy.h"
#include "base/element_reader.h"
#include "program/program.h"

namespace tempera {

// An ordered queue of work on a device. On the CPU, a launch runs at once on the caller's thread team.
class Queue {
 public:
  virtual ~Queue() = default;
  // Returns when all work launched so far is complete. Throws the error of the device, if there was one.
  virtual void synchronize() = 0;
};

// One step bound to addresses. Calling it enqueues the work and allocates nothing.
using Launch = std::function<void(Queue&)>;

// Device memory, freed with the object.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual std::byte* data() = 0;  // a device address
  virtual size_t size() const = 0;
};

// Rows of device memory at equal distances: a part of a picture, or, with one row, a whole buffer.
struct DeviceRows {
  const std::byte* data = nullptr;
  size_t count = 1, bytes = 0, stride = 0;  // number of rows; bytes of one; bytes from one to the next
};

// Addresses for one step: inputs in the op's order (weights in the packed form of this kernel), output, scratch.
struct Binding {
  std::vector<std::byte*> inputs;
  std::byte* output = nullptr;
  std::byte* workspace = nullptr;
  bool operator==(const Binding&) const = default;
};

// A parameter in the form of the checkpoint: one part per name.
struct WeightPart {
  std::shared_ptr<const ElementReader> reader;
  size_t elements = 0;
  float factor = 1;  // the elements are multiplied by this
};

// A block of a part, times its factor, as in ElementReader::read_block().
void read_block(const WeightPart& part, const ElementBlock& block, DType to, std::byte* destination, size_t pitch);
// Elements [first, first + n) of a part, times its factor, dense.
void read(const WeightPart& part, size_t first, size_t n, DType to, std::byte* destination);

// The number of elements of a large parameter that are packed before they are given back.
inline constexpr int64_t kPackPiece = int64_t{1} << 20;

// A row of a backend's table: the description for lowering, and the functions that bind and pack.
struct Kernel {
  KernelInfo info;
  // Prepares the launch. Everything that takes time or memory (primitives, plans) happens here.
  std::function<Launch(const Problem&, const Binding&)> bind = {};
  // Writes weight input i to host memory in the form that `info.packed` describes. The parts are concatenated along the
  // first dimension of inputs[i]. Each element of each part is read once and then given back once
  // (ElementReader::done), so that the pages of a file are in memory only while they are packed. If empty, pack_plain()
  // to the graph's dtype.
  std::function<void(const Problem&, int input, std::span<const WeightPart> parts, std::byte* destination)> pack = {};
};

// Copies of parameters to the device while a queue works, in the order in which they were started.
class Transfers {
 public:
  // One copy. `fill` writes `bytes` bytes of host memory. It may be called on any thread, at any time before the end of
  // the Transfers, but never twice at the same time.
  struct Item {
    std::byte* to = nullptr;  // a device address
    size_t bytes = 0;
    std::function<void(std::byte* host)> fill;
  };
  static void rebase(std::vector<Item>& items, const std::byte* from, std::byte* to) {
    for (Item& item : items) item.to = to + (item.to - from);
  }
  virtual ~Transfers() = default;
  // The copy begins when all work enqueued so far is complete.
  virtual void start(uint32_t item) = 0;
  // Work enqueued from now on waits for the item. Throws the exception of `fill`.
  virtual void await(uint32_t item) = 0;
  // Returns when no copy is in progress. Call it before other code uses the memory. Throws the exception of `fill`,
  // unless await() has thrown it.
  virtual void finish() = 0;

  // Changes the addresses of the items after their memory moved. No copy may be in progress.
  virtual void rebase(const std::byte* from, std::byte* to) = 0;

  // The times of a copy, by the clock of the device or the thread that made it.
  struct Copied {
    uint32_t item = 0;
    std::chrono::steady_clock::time_point begin;
    double seconds = 0;
  };
  // Switches the recording of times on or off, for copies that are started from now on. Recording allocates.
  virtual void watch(bool on) = 0;
  // The recorded copies that are complete, in the order in which they were started. Each is returned once.
  virtual std::vector<Copied> copied() = 0;
};

// Normal values of mean 0 and variance 1, as from torch.randn((1, channels, h, w)) on an NVIDIA card, times `scale`,
// for one picture: Philox4x32-10 and Box-Muller. sampling/rng.h (PhiloxDraw) has the definition, with the order over
// threads.
struct NormalDraw {
  uint64_t seed = 0, counter = 0, threads = 0;
  int64_t channels = 0, pixels = 0;  // pixels: h w
  float scale = 1;
};

// Recorded launches. One call enqueues them again, on the same addresses.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void replay(Queue& queue) = 0;
};

// Times by the device's clock. A mark is put into a queue like other work, and records the time when the device reaches
// it.
class Stopwatch {
 public:
  virtual ~Stopwatch() = default;
  // Allocates nothing. If a mark is put again, its earlier time is lost.
  virtual void mark(Queue& queue, size_t index) = 0;
  // From mark `from` to the later mark `to`. The queue must have been synchronized since both were put.
  virtual double seconds(size_t from, size_t to) = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string description() const = 0;  // "CPU: 2 threads, AVX-512 with bf16 (oneDNN 2.6.3)"
  virtual std::span<const Kernel> kernels() const = 0;
  virtual const Target& target() const = 0;  // its kernels in the order of kernels()

  // Memory of at least `bytes`, aligned to the target's alignment. Throws Error(out_of_memory) with the requested and
  // the free bytes.
  virtual std::unique_ptr<Buffer> allocate(size_t bytes) = 0;
  virtual std::unique_ptr<Queue> make_queue() = 0;

  // Copies ordered with the queue. The host memory may be reused when the call returns.
  virtual void upload(Queue& queue, std::byte* device, std::span<const std::byte> host) = 0;
  virtual void download(Queue& queue, std::span<std::byte> host, const std::byte* device) = 0;

  // Copies rows of device memory to other device memory, one after the other; ordered with the queue.
  virtual void copy(Queue& queue, std::byte* to, const DeviceRows& from) = 0;

  // Writes the values as f32 (h, w, channels), within 1e-6 (at scale 1) of the host's result; ordered with the queue.
  // Returns false if the device cannot draw. Then it always returns false.
  virtual bool draw_normal(Queue&, std::byte* /*to*/, const NormalDraw&) { return false; }

  // The backend and the queue must outlive it.
  virtual std::unique_ptr<Transfers> make_transfers(Queue& queue, std::vector<Transfers::Item> items) = 0;

  // Whether the host can write device memory directly, so that weights are packed in place.
  virtual bool host_visible() const = 0;

  // Free bytes of the device.
  virtual size_t free_memory() const = 0;

  // The peak of used bytes of the device, counted by its driver, without the bytes that an empty program needs. Plans
  // are compared with it. 0 where device memory is the host's.
  virtual size_t peak_memory() const { return 0; }

  // All memory of the device that a program could have, whether it is free or not.
  virtual size_t total_memory() const { return 0; }
  // Names and versions of libraries that are not in the description: "cuDNN" and "9.19.0".
  virtual std::vector<std::pair<std::string, std::string>> libraries() const { return {}; }
  // The device's energy counter. It lives as long as the backend; null if there is none.
  virtual EnergyMeter* energy_meter() { return nullptr; }

  // Records the launches of `enqueue` on the queue instead of running them. Returns null if the device is not faster
  // with recordings. Every launch has run once before, and `enqueue` neither waits nor copies.
  virtual std::unique_ptr<Recording> record(Queue&, const std::function<void()>& /*enqueue*/) { return nullptr; }

  // With marks 0 to marks - 1. By default it uses the host's clock, which is correct if launches run at once.
  virtual std::unique_ptr<Stopwatch> make_stopwatch(size_t marks);
};

// Plain packing: converts the parts one after the other to `dtype`, piece by piece.
void pack_plain(DType dtype, std::span<const WeightPart> parts, std::byte* destination);

}  // namespace tempera
