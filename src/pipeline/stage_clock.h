// Seconds per stage, in order of first use, and the spans of a traced generation.
#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "runtime/tracer.h"
#include "tempera/tempera.h"

namespace tempera {

class StageClock {
 public:
  // tracer may be null.
  StageClock(std::vector<Stage>& stages, Tracer* tracer) : stages_(stages), tracer_(tracer) {}

  void time(const char* name, const std::function<void()>& work) {
    if (tracer_ != nullptr) tracer_->begin_stage(name);
    const auto start = std::chrono::steady_clock::now();
    work();
    add(name, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    if (tracer_ != nullptr) tracer_->end_stage();
  }

 private:
  void add(const char* name, double seconds) {
    for (Stage& s : stages_)
      if (s.name == name) {
        s.seconds += seconds;
        return;
      }
    stages_.push_back({name, seconds});
  }
  std::vector<Stage>& stages_;
  Tracer* tracer_;
};

}  // namespace tempera
