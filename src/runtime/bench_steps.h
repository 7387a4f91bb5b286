// Names and traffic of steps, and the rows of a report from measured steps: which steps are alike, how long each takes
// at best, and sums. Arithmetic only; bench_ops.cpp and tracer.cpp measure.
#pragma once

#include "program/program.h"
#include "tempera/bench.h"

namespace tempera {

// "conv2d{3x3/1 bias} f32[...], f32[...] -> f32[...]".
std::string shape_of(const Step& step);

// Bytes of all inputs and the output, each once. Of tables, only the rows that are read.
double bytes_of(const Step& step);

// Steps with the same op, shapes and kernel. One of them is measured for all.
struct DistinctStep {
  size_t step = 0;        // the first of them
  size_t calls_once = 0;  // in the prologue
  size_t calls = 0;       // in every run
};
std::vector<DistinctStep> distinct_steps(const Program& program);

// The median of the values (for an even count, the mean of both middle ones), and the minimum. There is at least one
// value.
double median(std::vector<double> values);

// The row for `calls` steps like this one. `samples` are the seconds of single calls.
OpTime op_time(const Step& step, std::string_view kernel, size_t calls, const std::vector<double>& samples,
               const Ceilings& ceilings);

// Adds the figures of `more`, but not its names.
void add(OpTime& sum, const OpTime& more);

// Sorted by seconds, the slowest first.
void sort_slowest_first(std::vector<OpTime>& times);
// One row for each op and kernel, the slowest first.
std::vector<OpTime> grouped(const std::vector<OpTime>& shapes);

}  // namespace tempera
