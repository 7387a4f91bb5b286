// Runs a program on a backend in the simplest way: one buffer per space, one launch per step.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "conformance/problems.h"

namespace tempera {

class Interpreter {
 public:
  // `weights`: every parameter of the program. Memory is NaN at the start, so that a read before the write is found.
  Interpreter(Backend& backend, const Program& program, const std::map<std::string, SourceWeight::Part>& weights);

  void set_input(std::string_view name, std::span<const std::byte> bytes);
  std::vector<std::byte> output(std::string_view name);
  void run_prologue() { run(0, program_.prologue); }
  void run_step() { run(program_.prologue, launches_.size()); }

 private:
  std::byte* address(const Ref& ref);
  void run(size_t begin, size_t end);

  Backend& backend_;
  const Program& program_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<Buffer> arena_, weights_, io_, kept_;
  std::vector<Launch> launches_;
};

}  // namespace tempera
