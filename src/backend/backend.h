// What a device must offer: kernels as a table, memory, and a way to turn a step with fixed addresses into something
// that can be launched. Implementations live in backend/<name>/ and never see each other.
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

// An ordered stream of work on a device. CPU launches run at once on the caller's thread team.
class Queue {
 public:
  virtual ~Queue() = default;
  // Returns when everything launched so far is done. Throws what went wrong on the device.
  virtual void synchronize() = 0;
};

// One step bound to addresses: calling it enqueues the work and allocates nothing.
using Launch = std::function<void(Queue&)>;

// Device memory, freed with the object.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual std::byte* data() = 0;  // a device address
  virtual size_t size() const = 0;
};

// Rows of device memory at equal distances: a part of a picture, or, with one row, all of something.
struct DeviceRows {
  const std::byte* data = nullptr;
  size_t count = 1, bytes = 0, stride = 0;  // of rows; of one; from one to the next
};

// Addresses for one step: inputs in the op's order (weights as this kernel packed them), the output, scratch.
struct Binding {
  std::vector<std::byte*> inputs;
  std::byte* output = nullptr;
  std::byte* workspace = nullptr;
  bool operator==(const Binding&) const = default;
};

// A parameter as the checkpoint has it: one part per name.
struct WeightPart {
  std::shared_ptr<const ElementReader> reader;
  size_t elements = 0;
  float factor = 1;  // what the elements are multiplied by
};

// A block of a part, times its factor, as ElementReader::read_block() writes it.
void read_block(const WeightPart& part, const ElementBlock& block, DType to, std::byte* destination, size_t pitch);
// Elements [first, first + n) of a part, times its factor, dense.
void read(const WeightPart& part, size_t first, size_t n, DType to, std::byte* destination);

// How many elements of a large parameter are packed before they are given back.
inline constexpr int64_t kPackPiece = int64_t{1} << 20;

// A row of a backend's table: what lowering reads, and how to run it.
struct Kernel {
  KernelInfo info;
  // Prepares the launch. Everything that takes time or memory (primitives, plans) happens here.
  std::function<Launch(const Problem&, const Binding&)> bind = {};
  // Writes weight input i in the form `info.packed` promised, in host memory. parts are concatenated along the first
  // dimension of inputs[i]. Reads each element of each part once and then gives it back once (ElementReader::done), so
  // that the pages of a file are in memory only while they are packed. When empty, pack_plain() to the graph's dtype.
  std::function<void(const Problem&, int input, std::span<const WeightPart> parts, std::byte* destination)> pack = {};
};

// Copies of parameters to the device beside the work of a queue, in the order in which they were started.
class Transfers {
 public:
  // What can be brought. `fill` writes `bytes` bytes of host memory; on any thread, at any time before the end of the
  // Transfers, never twice at once.
  struct Item {
    std::byte* to = nullptr;  // a device address
    size_t bytes = 0;
    std::function<void(std::byte* host)> fill;
  };
  static void rebase(std::vector<Item>& items, const std::byte* from, std::byte* to) {
    for (Item& item : items) item.to = to + (item.to - from);
  }
  virtual ~Transfers() = default;
  // Begins when the work that the queue has been given so far is done.
  virtual void start(uint32_t item) = 0;
  // What the queue is given from now on waits for the item. Throws what `fill` threw.
  virtual void await(uint32_t item) = 0;
  // Returns when nothing is under way: before others use the memory. Throws what `fill` threw, unless await() has.
  virtual void finish() = 0;

  // The memory that items are copied to moved from one address to another; nothing is under way.
  virtual void rebase(const std::byte* from, std::byte* to) = 0;

  // How a copy went, by the clock of whoever made it.
  struct Copied {
    uint32_t item = 0;
    std::chrono::steady_clock::time_point begin;
    double seconds = 0;
  };
  // Notes the times of the copies that are started from now on, or no longer. Noting allocates.
  virtual void watch(bool on) = 0;
  // The noted copies that are over, in the order in which they were started. Each is returned once.
  virtual std::vector<Copied> copied() = 0;
};

// Normal values of mean 0 and variance 1 as torch.randn((1, channels, h, w)) gives them on an NVIDIA card, times
// `scale`, for one picture: Philox4x32-10 and Box-Muller, laid out over threads as sampling/rng.h says (PhiloxDraw),
// where the definition is.
struct NormalDraw {
  uint64_t seed = 0, counter = 0, threads = 0;
  int64_t channels = 0, pixels = 0;  // pixels: h w
  float scale = 1;
};

// Launches that were recorded once and are enqueued again by one call, on the same addresses.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void replay(Queue& queue) = 0;
};

// Times as the device has them: a mark is put into a queue like other work and keeps when the device came to it.
class Stopwatch {
 public:
  virtual ~Stopwatch() = default;
  // Allocates nothing. A mark that is put again forgets its earlier time.
  virtual void mark(Queue& queue, size_t index) = 0;
  // From mark `from` to the later mark `to`. The queue has been synchronized since both were put.
  virtual double seconds(size_t from, size_t to) = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string description() const = 0;  // "CPU: 2 threads, AVX-512 with bf16 (oneDNN 2.6.3)"
  virtual std::span<const Kernel> kernels() const = 0;
  virtual const Target& target() const = 0;  // its kernels in the order of kernels()

  // Memory of at least `bytes`, aligned to the target's alignment. Throws Error(out_of_memory) saying what was asked
  // and what was free.
  virtual std::unique_ptr<Buffer> allocate(size_t bytes) = 0;
  virtual std::unique_ptr<Queue> make_queue() = 0;

  // Copies ordered with the queue; the host side may be reused when the call returns.
  virtual void upload(Queue& queue, std::byte* device, std::span<const std::byte> host) = 0;
  virtual void download(Queue& queue, std::span<std::byte> host, const std::byte* device) = 0;

  // Copies rows of device memory to other device memory, one behind the other; ordered with the queue.
  virtual void copy(Queue& queue, std::byte* to, const DeviceRows& from) = 0;

  // Writes what the draw says as f32 (h, w, channels), within 1e-6 (at scale 1) of what the host computes;
  // ordered with the queue. False where the device makes no numbers: then it never does.
  virtual bool draw_normal(Queue&, std::byte* /*to*/, const NormalDraw&) { return false; }

  // The backend and the queue must outlive it.
  virtual std::unique_ptr<Transfers> make_transfers(Queue& queue, std::vector<Transfers::Item> items) = 0;

  // Whether device memory can be written by the host directly, so that weights are packed in place.
  virtual bool host_visible() const = 0;

  // Bytes of the device that nobody uses.
  virtual size_t free_memory() const = 0;

  // The most bytes of the device that were in use beside what a program with nothing in it takes, as its driver counts
  // them: what plans are compared with. 0 where device memory is the host's.
  virtual size_t peak_memory() const { return 0; }

  // All of the memory that a program could have there, whoever uses it now.
  virtual size_t total_memory() const { return 0; }
  // What the description leaves to others: names and versions of libraries, "cuDNN" and "9.19.0".
  virtual std::vector<std::pair<std::string, std::string>> libraries() const { return {}; }
  // What counts the device's energy, as long as the backend lives; null where nothing does.
  virtual EnergyMeter* energy_meter() { return nullptr; }

  // Records what `enqueue` launches on the queue instead of running it. Nothing where the device gains nothing by it.
  // Every launch has run once before, and `enqueue` neither waits nor copies.
  virtual std::unique_ptr<Recording> record(Queue&, const std::function<void()>& /*enqueue*/) { return nullptr; }

  // With marks 0 to marks - 1. The host's clock unless the device has its own: right where launches run at once.
  virtual std::unique_ptr<Stopwatch> make_stopwatch(size_t marks);
};

// Plain packing: converts the parts one after the other to `dtype`, piece by piece.
void pack_plain(DType dtype, std::span<const WeightPart> parts, std::byte* destination);

}  // namespace tempera
