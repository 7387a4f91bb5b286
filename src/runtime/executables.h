// The executables of an engine, and the memory that they share. Those that a request does not use stay for a later
// request of the same shape, with their bindings and recordings, while there is room.
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
  // replay: run programs as recordings from their second run on, where the backend has those. The backend and the queue
  // must outlive the executables.
  Executables(Backend& backend, Queue& queue, bool replay);

  // The executables of these programs, in their order: those that are there, and new ones. Takes all memory that the
  // programs need. None is loaded: load() packs what is not packed yet. Pointers stay good while the next call names
  // the same programs too. With Others::drop, everything that the programs do not need is given back. Throws
  // Error(out_of_memory).
  std::vector<Executable*> use(std::span<const ParameterUse> programs, Parameters::Others others);

  // Nothing is under way on any executable when it returns, and what travels is copied anew.
  void leave();
  void watch(StepWatcher* watcher);

  // Bytes of the memory that the programs of the last use() do not need: kept for later requests.
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
    uint64_t used = 0;  // the call of use() that named it last
  };

  Bound* find(const ParameterUse& use);
  void end_others(std::span<const ParameterUse> programs, Parameters::Others others);

  Backend& backend_;
  Queue& queue_;
  bool replay_;
  StepWatcher* watcher_ = nullptr;
  Region scratch_;
  Parameters parameters_;
  std::list<Bound> bound_;  // the last to be used first; ends before the memory that it uses
  uint64_t calls_ = 0;
};

}  // namespace tempera
