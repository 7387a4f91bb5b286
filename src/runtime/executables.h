// The executables of an engine, and the memory that they share. Executables that a request does not use stay for a
// later request of the same shape, with their bindings and recordings, while there is room.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <vector>

#include "runtime/executable.h"

namespace tempera {

class Executables {
 public:
  // replay: from their second run on, run programs as recordings if the backend can. The backend and the queue must
  // outlive the executables.
  Executables(Backend& backend, Queue& queue, bool replay);

  // The executables of these programs, in the same order: existing ones and new ones. Allocates all memory of the
  // programs. None is loaded: load() packs missing parameters. Pointers stay valid until a call without their programs.
  // With Others::drop, memory that the programs do not need is given back. Throws Error(out_of_memory).
  std::vector<Executable*> use(std::span<const ParameterUse> programs, Parameters::Others others);

  // When it returns, no executable has work in the queue. Streamed parameters are copied again.
  void leave();
  void watch(StepWatcher* watcher);

  // Bytes of the memory that the programs of the last use() do not need and that is kept for later requests.
  size_t bytes_of_others() const;
  const Parameters& parameters() const { return parameters_; }
  Parameters& parameters() { return parameters_; }

  // Executables that stay in addition to those in use.
  static constexpr size_t kMostOthers = 8;

 private:
  struct Bound {
    Bound(const ParameterUse& use, Backend& backend, Queue& queue, Region& scratch, Parameters& parameters)
        : component(use.component),
          io(backend),
          executable(*use.program, backend, queue, {scratch, io, parameters}, *use.component) {}
    const Checkpoint* component;
    Region io;
    Executable executable;
    uint64_t used = 0;  // the number of the last call of use() that named it
  };

  Bound* find(const ParameterUse& use);
  void end_others(std::span<const ParameterUse> programs, Parameters::Others others);

  Backend& backend_;
  Queue& queue_;
  bool replay_;
  StepWatcher* watcher_ = nullptr;
  Region scratch_;
  Parameters parameters_;
  std::list<Bound> bound_;  // the most recently used first; destroyed before the memory that it uses
  uint64_t calls_ = 0;
};

}  // namespace tempera
