// What a step is called and moves, and from measured steps to the rows of a report: which steps are alike, how long
// each could take at best, and how they add up. Arithmetic alone; bench_ops.cpp and tracer.cpp measure.
#pragma once

#include "program/program.h"
#include "tempera/bench.h"

namespace tempera {

// "conv2d{3x3/1 bias} f32[...], f32[...] -> f32[...]".
std::string shape_of(const Step& step);

// Bytes of all inputs and the output, each once; of tables, the rows that are read.
double bytes_of(const Step& step);

// Steps with the same op, shapes and kernel: one of them is measured for all.
struct DistinctStep {
  size_t step = 0;        // the first of them
  size_t calls_once = 0;  // in the prologue
  size_t calls = 0;       // in every run
};
std::vector<DistinctStep> distinct_steps(const Program& program);

// The middle of the values (the mean of both middle ones), and the least. There is at least one value.
double median(std::vector<double> values);

// The row for `calls` steps like this one, of which single calls took `samples` seconds.
OpTime op_time(const Step& step, std::string_view kernel, size_t calls, const std::vector<double>& samples,
               const Ceilings& ceilings);

// Adds the figures of `more`, but not its names.
void add(OpTime& sum, const OpTime& more);

// Sorted by seconds, the slowest first.
void sort_slowest_first(std::vector<OpTime>& times);
// One row for each op and kernel, the slowest first.
std::vector<OpTime> grouped(const std::vector<OpTime>& shapes);

}  // namespace tempera
