// Measuring: the kernels of a model one by one (bench_ops), a generation step by step (Callbacks::trace), and what was
// measured to choose algorithms (algorithm_choices). Standard
// library only. Times are in seconds, arithmetic in floating-point operations (multiply and add counted apart; matrix
// products, convolutions and attention only), memory in bytes.
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
  EngineOptions engine = {};   // the model's shapes: weights are random, so with a preset no file is needed
  Request request = {};        // sizes, pictures, guidance: what decides shapes and how often they run
  std::string component = {};  // "text_encoder", "text_encoder_2", "unet", "vae_decoder"; empty: all of them
  int repeats = 5;             // measurements of each kernel, 1 to 1000; results are their medians
};

// The most this machine gave just before, in the same process.
struct Ceilings {
  // Products of square matrices by the device's own kernel for linear layers: the fastest of several sizes.
  struct Arithmetic {
    std::string dtype;   // "bf16"
    std::string kernel;  // "linear/onednn"
    int64_t size = 0;    // rows and columns of each matrix
    double flops_per_second = 0;
  };
  std::vector<Arithmetic> arithmetic;  // one for each dtype that the programs compute in
  // The sum of two large f32 tensors into a third: both read and the result written, once each.
  struct Memory {
    std::string kernel;  // "add/cpu"
    size_t bytes = 0;    // of the three tensors
    double bytes_per_second = 0;
  } memory;
};

// Steps of one run that are alike, together: every figure is the sum over `calls` of them.
struct OpTime {
  std::string op;      // "conv2d"
  std::string kernel;  // "conv2d/onednn"
  std::string shape;   // op with parameters, inputs and output; empty where steps of several shapes are together
  size_t calls = 0;
  double seconds = 0;        // by the median of the measurements
  double least_seconds = 0;  // by the fastest
  double flops = 0;
  double bytes = 0;  // of all inputs and the output, each once
  // The least time at the machine's ceilings: arithmetic_seconds for the flops, memory_seconds for the bytes, and
  // floor_seconds for the larger of the two, step by step.
  double arithmetic_seconds = 0, memory_seconds = 0, floor_seconds = 0;
};

// A program of the request, or what of it runs once per request.
struct BenchPart {
  std::string component;  // "unet"
  bool once = false;      // the steps that depend on the request alone
  size_t runs = 0;        // for this request
  // All steps of one run launched together (once: false and not eager: as a recording, where the device has those),
  // by the median and by the fastest.
  double whole_seconds = 0, least_whole_seconds = 0;
  std::vector<OpTime> groups;  // by op and kernel, the slowest first; their sum is that of `shapes`
  std::vector<OpTime> shapes;  // by op, shapes and kernel, the slowest first

  OpTime total() const;  // of all steps of one run, measured one by one
};

struct BenchOps {
  std::string model, device, dtype;  // device: "CPU: 2 threads, AVX2 (oneDNN 2.6.3)"
  int width = 0, height = 0, images = 0;
  std::string attention;
  bool eager = false;
  int repeats = 0;
  Ceilings ceilings;
  std::vector<BenchPart> parts;  // in the order in which a request runs them
};

// Lowers the programs as generate() would, fills weights and inputs with random numbers, and measures every kernel at
// every shape that occurs: warm, several times, in turns with all the others. Throws Error as plan() and Pipeline do.
// progress(what, done, total) after each step; cancelled is polled there and stops with Error(cancelled).
BenchOps bench_ops(const BenchOpsOptions& options,
                   const std::function<void(std::string_view what, size_t done, size_t total)>& progress = {},
                   const std::function<bool()>& cancelled = {});

// Where numbers were measured, and the most that it gave just before.
struct BenchMachine {
  std::string device;                                          // "CPU: 2 threads, AVX2 (oneDNN 2.6.3)"
  int threads = 0;                                             // of the host that are used
  size_t memory_bytes = 0;                                     // of the device, all of it
  std::vector<std::pair<std::string, std::string>> libraries;  // "oneDNN", "2.6.3"
  Ceilings ceilings;
};

// Of the device that the options name. dtypes: in which to measure the arithmetic, as EngineOptions::dtype has them.
// Throws Error as Pipeline does. cancelled is polled between measurements and stops with Error(cancelled).
BenchMachine bench_machine(const EngineOptions& engine, const std::vector<std::string>& dtypes,
                           const std::function<bool()>& cancelled = {});

// Which of several ways to run a problem was the fastest on a card: measured when it first occurred, and kept in a text
// file for later processes.
struct AlgorithmChoice {
  std::string card;       // "NVIDIA H100 80GB HBM3"
  std::string library;    // with its version, "cuDNN 9.19.0": with another, the problem is measured anew
  std::string problem;    // op, sizes, types
  std::string algorithm;  // "cuDNN engine 38"
  int candidate = 0;      // its number among those that were tried
  double seconds = 0;     // of one run, when it was chosen
};

struct AlgorithmChoices {
  std::filesystem::path file;            // empty where neither XDG_CACHE_HOME nor HOME is set: nothing is kept
  std::vector<AlgorithmChoice> choices;  // by card, library and problem; none where there is no file
};

// What the file says now; needs no card. Throws Error(io) for a file that cannot be read.
AlgorithmChoices algorithm_choices();

// Removes the file, if there is one, so that every problem is measured anew. Throws Error(io) where that fails.
void forget_algorithm_choices();

// How far two pictures are apart, in levels of 8 bits.
struct PictureDifference {
  double mean = 0;      // of the absolute differences of all values
  int max = 0;          // the largest of them
  double squares = 0;   // the mean of their squares
  double psnr() const;  // 10 log10(255^2 / squares), in decibels; infinite for equal pictures
};

// Of values that stand for each other; several pictures may follow one another. Throws Error(invalid_argument) where
// there are not as many of one as of the other, or none.
PictureDifference picture_difference(std::span<const uint8_t> a, std::span<const uint8_t> b);

// A span of a traced generation. Spans nest: a stage holds runs of programs, a run holds steps.
struct TraceEvent {
  // A wait is the time before a step whose parameters are not there yet; a copy brings parameters, beside the steps.
  enum class Kind : uint8_t { stage, run, step, wait, copy };
  Kind kind = Kind::step;
  std::string stage;            // "plan", "text", "load", "denoise", "decode"
  std::string component;        // "unet", and "unet, once" for what depends on the request alone; empty for stages
  std::string op;               // "conv2d", "wait", "copy"; empty for stages and runs
  std::string kernel;           // of steps: "conv2d/onednn"
  std::string shape;            // of steps: op with parameters, inputs and output; of copies: what is brought
  double start = 0;             // seconds since generate() began
  double seconds = 0;           // steps, waits, copies: by the device's clock
  double flops = 0, bytes = 0;  // of steps; bytes of copies too
};

// Seconds per stage, op and kernel, in the order of the stages and then the slowest first; steps only.
struct TraceTotal {
  std::string stage, op, kernel;
  size_t calls = 0;
  double seconds = 0, flops = 0, bytes = 0;
};
std::vector<TraceTotal> trace_totals(std::span<const TraceEvent> events);

// Chrome's trace event format (chrome://tracing, ui.perfetto.dev): one track per stage, and one for copies where there
// are any; spans in the order in which they began, the outer before the inner. `title` names the whole. The file
// appears whole or not at all; an existing one is replaced.
void save_trace(const std::filesystem::path& path, std::span<const TraceEvent> events, std::string_view title);

}  // namespace tempera
