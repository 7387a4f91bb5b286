// Measuring: the kernels of a model one by one (bench_ops), a generation step by step (Callbacks::trace), and the
// measurements that chose algorithms (algorithm_choices). Standard library only. Times are in seconds and memory in
// bytes. Arithmetic is in floating-point operations of matrix products, convolutions and attention; a multiplication
// with an addition counts as two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tempera/request.h"

namespace tempera {

struct BenchOpsOptions {
  EngineOptions engine = {};  // the model's shapes; weights are random, so a preset needs no file
  Request request = {};       // sizes, pictures, guidance: they decide the shapes and the number of runs
  // "text_encoder", "text_encoder_2", "unet", "vae_decoder", or "vae_encoder" (also for requests that encode no
  // picture); empty: all programs of the request.
  std::string component = {};
  int repeats = 5;  // measurements of each kernel, 1 to 1000; the median counts
};

// The highest rates of this machine, measured in the same process before the kernels.
struct Ceilings {
  // Products of square matrices by the device's own kernel for linear layers. The fastest of several sizes counts.
  struct Arithmetic {
    std::string dtype;   // "bf16"
    std::string kernel;  // "linear/onednn"
    int64_t size = 0;    // rows and columns of each matrix
    double flops_per_second = 0;
  };
  std::vector<Arithmetic> arithmetic;  // one for each dtype that the programs compute in
  // The sum of two large f32 tensors into a third. Both are read once, the result is written once.
  struct Memory {
    std::string kernel;  // "add/cpu"
    size_t bytes = 0;    // of the three tensors
    double bytes_per_second = 0;
  } memory;
};

// All steps of one run with the same op and kernel (in BenchPart::shapes, also with the same shape). Every figure is
// the sum over these `calls` steps.
struct OpTime {
  std::string op;      // "conv2d"
  std::string kernel;  // "conv2d/onednn"
  std::string shape;   // op with parameters, inputs and output; empty if the steps have several shapes
  size_t calls = 0;
  double seconds = 0;        // median of the measurements
  double least_seconds = 0;  // the fastest measurement
  double flops = 0;
  double bytes = 0;  // of all inputs and the output, each once
  // The least time that the machine's ceilings allow: arithmetic_seconds for the flops, memory_seconds for the bytes.
  // floor_seconds is the sum over the steps of the larger of the two.
  double arithmetic_seconds = 0, memory_seconds = 0, floor_seconds = 0;
};

// A program of the request, or the steps of it that run once per request.
struct BenchPart {
  std::string component;  // "unet"
  bool once = false;      // the steps that depend only on the request
  size_t runs = 0;        // in this request
  // All steps of one run launched together: median and fastest. Replayed as a recording if the device has recordings,
  // `once` is false and the run is not eager.
  double whole_seconds = 0, least_whole_seconds = 0;
  std::vector<OpTime> groups;  // by op and kernel, the slowest first; the sums of `groups` and `shapes` are equal
  std::vector<OpTime> shapes;  // by op, shapes and kernel, the slowest first

  OpTime total() const;  // all steps of one run, measured one by one
};

struct BenchOps {
  std::string model, device, dtype;  // device: "CPU: 2 threads, AVX2 (oneDNN 2.6.3)"
  int width = 0, height = 0, images = 0;
  std::string attention;
  bool eager = false;
  int repeats = 0;
  Ceilings ceilings;
  std::vector<BenchPart> parts;  // in the order of a request
};

// Lowers the programs as generate() does, fills weights and inputs with random numbers, and measures every kernel at
// every shape that occurs. Each is measured several times after a warm-up run, alternating with all other kernels.
// Throws Error as plan() and Pipeline do. Calls progress(what, done, total) after each step and polls `cancelled`
// there; true stops with Error(cancelled).
BenchOps bench_ops(const BenchOpsOptions& options,
                   const std::function<void(std::string_view what, size_t done, size_t total)>& progress = {},
                   const std::function<bool()>& cancelled = {});

// The machine of a measurement, and its highest rates.
struct BenchMachine {
  std::string device;                                          // "CPU: 2 threads, AVX2 (oneDNN 2.6.3)"
  int threads = 0;                                             // of the host, in use
  size_t memory_bytes = 0;                                     // all memory of the device
  std::vector<std::pair<std::string, std::string>> libraries;  // "oneDNN", "2.6.3"
  Ceilings ceilings;
};

// Measures the device of the options. `dtypes`: the compute types to measure, as in EngineOptions::dtype. Throws Error
// as Pipeline does. Polls `cancelled` between measurements; true stops with Error(cancelled).
BenchMachine bench_machine(const EngineOptions& engine, const std::vector<std::string>& dtypes,
                           const std::function<bool()>& cancelled = {});

// The fastest of several algorithms for a problem on a card. It is measured when the problem first occurs, and kept in
// a text file for later processes.
struct AlgorithmChoice {
  std::string card;       // "NVIDIA H100 80GB HBM3"
  std::string library;    // with its version, "cuDNN 9.19.0"; with another version the problem is measured again
  std::string problem;    // op, sizes, types
  std::string algorithm;  // "cuDNN engine 38"
  int candidate = 0;      // its number among the measured ones
  double seconds = 0;     // of one run, at the time of the choice
};

struct AlgorithmChoices {
  std::filesystem::path file;            // empty if neither XDG_CACHE_HOME nor HOME is set; nothing is kept then
  std::vector<AlgorithmChoice> choices;  // by card, library and problem; empty if there is no file
};

// The current content of the file. Needs no card. Throws Error(io) if the file cannot be read.
AlgorithmChoices algorithm_choices();

// Removes the file if there is one. Throws Error(io) if it cannot be removed. Every problem is then measured again.
void forget_algorithm_choices();

// The difference of two pictures, in levels of 8 bits.
struct PictureDifference {
  double mean = 0;      // of all absolute differences
  int max = 0;          // the largest absolute difference
  double squares = 0;   // mean of the squared differences
  double psnr() const;  // 10 log10(255^2 / squares), in decibels; infinite for equal pictures
};

// Compares a[i] with b[i]; one call can compare several pictures that are stored one after the other. Throws
// Error(invalid_argument) if the sizes differ or are 0.
PictureDifference picture_difference(std::span<const uint8_t> a, std::span<const uint8_t> b);

// A span of a traced generation. Spans nest: a stage contains runs of programs, a run contains steps.
struct TraceEvent {
  // wait: the time before a step until its parameters have arrived. copy: parameters are copied while steps run.
  enum class Kind : uint8_t { stage, run, step, wait, copy };
  Kind kind = Kind::step;
  std::string stage;            // "plan", "text", "load", "denoise", "decode"
  std::string component;        // "unet", or "unet, once" for steps that depend only on the request; empty for stages
  std::string op;               // "conv2d", "wait", "copy"; empty for stages and runs
  std::string kernel;           // of steps: "conv2d/onednn"
  std::string shape;            // of steps: op with parameters, inputs and output; of copies: the parameters
  double start = 0;             // seconds since the start of generate()
  double seconds = 0;           // by the device's clock for steps, waits and copies
  double flops = 0, bytes = 0;  // of steps; copies have bytes only
};

// Seconds of the steps, added by stage, op and kernel. Stages are in their order; in each stage the slowest is first.
struct TraceTotal {
  std::string stage, op, kernel;
  size_t calls = 0;
  double seconds = 0, flops = 0, bytes = 0;
};
std::vector<TraceTotal> trace_totals(std::span<const TraceEvent> events);

// Writes Chrome's trace event format (chrome://tracing, ui.perfetto.dev): one track per stage, and one for copies if
// there are any. Spans are in the order in which they began, the outer before the inner. `title` names the trace. An
// existing file is replaced, and an incomplete file never appears.
void save_trace(const std::filesystem::path& path, std::span<const TraceEvent> events, std::string_view title);

}  // namespace tempera
