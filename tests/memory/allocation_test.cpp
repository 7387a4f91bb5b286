// A run allocates no memory: the test counts the bytes that the process has allocated between loading and the last
// step. oneDNN packs operands of some products into memory that it allocates and frees within the call, and generates
// code in the first run. No other allocations are allowed.
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

#include "models/unet.h"
#include "passes/passes.h"
#include "program/residency.h"
#include "runtime/executable.h"
#include "support/backends.h"
#include "support/random_checkpoint.h"

namespace {

std::atomic<int64_t> held = 0, most = 0;  // bytes of the heap and of mappings; the largest value since the last reset

void take(int64_t bytes) {
  const int64_t now = held += bytes;
  int64_t before = most;
  while (before < now && !most.compare_exchange_weak(before, now)) {
  }
}

void* taken(void* p) {
  take(static_cast<int64_t>(malloc_usable_size(p)));
  return p;
}

void give_back(void* p) {
  held -= static_cast<int64_t>(malloc_usable_size(p));
}

}  // namespace

// glibc's functions, which the functions below replace.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void __libc_free(void*);

void* malloc(size_t bytes) {
  return taken(__libc_malloc(bytes));
}
void* calloc(size_t n, size_t bytes) {
  return taken(__libc_calloc(n, bytes));
}
void* realloc(void* old, size_t bytes) {
  give_back(old);
  return taken(__libc_realloc(old, bytes));
}
void* memalign(size_t alignment, size_t bytes) {
  return taken(__libc_memalign(alignment, bytes));
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  return memalign(alignment, bytes);
}
int posix_memalign(void** out, size_t alignment, size_t bytes) {
  *out = memalign(alignment, bytes);
  return *out == nullptr ? ENOMEM : 0;
}
void free(void* p) {
  give_back(p);
  __libc_free(p);
}
void* mmap(void* at, size_t bytes, int protection, int flags, int file, off_t offset) {
  take(static_cast<int64_t>(bytes));
  return reinterpret_cast<void*>(syscall(SYS_mmap, at, bytes, protection, flags, file, offset));
}
int munmap(void* at, size_t bytes) {
  held -= static_cast<int64_t>(bytes);
  return static_cast<int>(syscall(SYS_munmap, at, bytes));
}
}

namespace tempera {
namespace {

constexpr size_t kAll = size_t{1} << 30;
constexpr int64_t kPacking = int64_t{1} << 20;  // of oneDNN, at these sizes
constexpr int64_t kLists = 1024;                // the queue of the thread that copies parameters

struct Held {
  int64_t more = 0, at_most = 0;  // than before the second step: after the last step, and the maximum
};

Held held_by_steps(Backend& backend, DType dtype, const StreamOptions* stream) {
  DenoiseGraphOptions options{.images = 1, .guided = 1};
  options.unet = {.height = 8, .width = 8, .dtype = dtype};
  const Graph graph = optimize(denoise_graph(preset("tiny").unet, options));
  const std::unique_ptr<Queue> queue = backend.make_queue();
  Program program = lower(graph, backend.target(), {});
  if (stream != nullptr) {
    StreamOptions streaming = *stream;
    streaming.alignment = backend.target().alignment;
    if (streaming.stream > 0) streaming.stream = std::max(streaming.stream, least_stream(program, streaming.alignment));
    program = stream_weights(std::move(program), streaming);
  }
  const test::RandomCheckpoint checkpoint(graph);
  LoneExecutable lone(std::move(program), backend, *queue, checkpoint);
  Executable& e = *lone;
  std::vector<std::vector<float>> values;
  for (const IoSlot& input : e.program().inputs)
    values.emplace_back(static_cast<size_t>(input.ref.desc.shape.elements()), 0.5f);
  e.load();

  int64_t before = 0;
  for (int step = 0; step < 4; ++step) {
    for (size_t i = 0; i < values.size(); ++i) e.write_input(e.program().inputs[i].name, values[i]);
    if (step == 0) e.run_prologue();
    e.run();
    queue->synchronize();
    if (step != 0) continue;
    e.leave();  // no copies are pending
    most = before = held;
  }
  e.leave();
  return {held - before, most - before};
}

class Allocations : public ::testing::TestWithParam<std::string> {};

TEST_P(Allocations, AreCounted) {
  const auto backend = test::make_backend(GetParam());
  const int64_t before = held;
  {
    const std::vector<char> small(100'000);
    const std::unique_ptr<Buffer> buffer = backend->allocate(size_t{1} << 20);
    EXPECT_GE(held - before, 1'148'576);
  }
  EXPECT_EQ(held, before);
}

TEST_P(Allocations, EndWithLoading) {
  const auto backend = test::make_backend(GetParam());
  const StreamOptions all{kAll, 0}, little{1, 0}, none{0, 0}, some_stay{100'000, 1'000'000};
  for (const DType dtype : test::compute_dtypes(GetParam()))
    for (const StreamOptions* stream : {static_cast<const StreamOptions*>(nullptr), &all, &little, &none, &some_stay}) {
      const Held steps = held_by_steps(*backend, dtype, stream);
      EXPECT_LE(std::abs(steps.more), kLists) << name(dtype) << (stream == nullptr ? ", resident" : ", streamed");
      EXPECT_LE(steps.at_most, kPacking) << name(dtype) << (stream == nullptr ? ", resident" : ", streamed");
    }
}

// The driver counts a card's memory, and the reference may allocate.
INSTANTIATE_TEST_SUITE_P(Host, Allocations, ::testing::Values("cpu"));

}  // namespace
}  // namespace tempera
