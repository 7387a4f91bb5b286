#include "runtime/executables.h"

#include <algorithm>
#include <exception>

#include "program/overhead.h"

namespace tempera {

Executables::Executables(Backend& backend, Queue& queue, bool replay)
    : backend_(backend), queue_(queue), replay_(replay), scratch_(backend), parameters_(backend, queue) {}

Executables::Bound* Executables::find(const ParameterUse& use) {
  for (Bound& bound : bound_)
    if (bound.component == use.component && bound.executable.program() == *use.program) return &bound;
  return nullptr;
}

std::vector<Executable*> Executables::use(std::span<const ParameterUse> programs, Parameters::Others others) {
  ++calls_;
  for (const ParameterUse& use : programs)
    if (Bound* bound = find(use)) bound->used = calls_;
  end_others(programs, others);

  size_t scratch = 0;
  for (const ParameterUse& use : programs)
    scratch = std::max(scratch, scratch_bytes(use.program->memory, backend_.target().alignment));
  // Scratch memory of another size is allocated after the unneeded parameters are dropped. Otherwise both together
  // could exceed the plan.
  const bool other_size = others == Parameters::Others::drop ? scratch_.size() != scratch : scratch_.size() < scratch;
  if (other_size) scratch_.release();
  parameters_.hold(programs, others);
  if (other_size) scratch_.resize(scratch);

  std::vector<Executable*> executables;
  for (const ParameterUse& use : programs) {
    Bound* bound = find(use);
    if (bound == nullptr) {
      bound = &bound_.emplace_front(use, backend_, queue_, scratch_, parameters_);
      bound->used = calls_;
      bound->executable.set_replay(replay_);
      bound->executable.watch(watcher_);
    }
    bound->io.reserve(use.program->memory.io);
    executables.push_back(&bound->executable);
  }
  return executables;
}

// Of the unused executables, this drops:
// 1. all of them, with Others::drop;
// 2. those that stream parameters of a component which programs in use stream too, because each has a packed copy of
//    all of them in host memory;
// 3. the least recently used ones.
void Executables::end_others(std::span<const ParameterUse> programs, Parameters::Others others) {
  const auto travels_too = [&](const Bound& bound) {
    return !bound.executable.program().segments.empty() &&
           std::ranges::any_of(programs, [&](const ParameterUse& use) { return use.component == bound.component; });
  };
  std::erase_if(bound_, [&](const Bound& bound) {
    return bound.used != calls_ && (others == Parameters::Others::drop || travels_too(bound));
  });
  bound_.sort([](const Bound& a, const Bound& b) { return a.used > b.used; });
  const auto in_use =
      static_cast<size_t>(std::ranges::count_if(bound_, [&](const Bound& bound) { return bound.used == calls_; }));
  while (bound_.size() > in_use + kMostOthers) bound_.pop_back();
}

void Executables::leave() {
  std::exception_ptr first;
  for (Bound& bound : bound_) {
    try {
      bound.executable.leave();
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
}

void Executables::watch(StepWatcher* watcher) {
  watcher_ = watcher;
  for (Bound& bound : bound_) bound.executable.watch(watcher);
}

size_t Executables::bytes_of_others() const {
  const Target& target = backend_.target();
  size_t bytes = parameters_.bytes_of_others(), scratch = 0;
  std::vector<const Program*> all, in_use;
  for (const Bound& bound : bound_) {
    const Program& program = bound.executable.program();
    all.push_back(&program);
    if (bound.used != calls_) {
      bytes += bound.io.size();
      continue;
    }
    in_use.push_back(&program);
    scratch = std::max(scratch, scratch_bytes(program.memory, target.alignment));
  }
  return bytes + overhead_of(all, target) - overhead_of(in_use, target) + scratch_.size() -
         std::min(scratch_.size(), scratch);
}

}  // namespace tempera
