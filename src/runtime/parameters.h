// Packed parameters on a device, by component, weight, form and revision. There is one copy of each, which all its
// executables share. A parameter is packed when an executable that reads it is loaded. It is dropped when no program
// reads it in that form any more.
//
// The checkpoint identifies a component. The owner calls hold() with the programs in use. Executables then get the
// places of their parameters and pack those that are missing.
#pragma once

#include <compare>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "program/program.h"
#include "weights/checkpoint.h"

namespace tempera {

// A program and the component whose parameters it reads.
struct ParameterUse {
  const Checkpoint* component = nullptr;
  const Program* program = nullptr;
  bool operator==(const ParameterUse&) const = default;
};

class Parameters {
 public:
  // The backend and the queue must outlive the parameters. A component must outlive them, or forget() must be called.
  Parameters(Backend& backend, Queue& queue);
  ~Parameters();
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;

  // The treatment of packed parameters that the programs of hold() do not read.
  enum class Others : uint8_t {
    keep,  // keeps them, but drops those that the programs read in another form: a parameter is never there in two
           // forms, unless the programs read both
    drop,
  };
  // Names the programs that may run until the next call, and allocates memory for their missing parameters. Nothing is
  // packed. With Others::drop, memory is given back, and places of parameters that stay can change. Throws
  // Error(out_of_memory).
  void hold(std::span<const ParameterUse> uses, Others others);

  // The place of a resident parameter of a held program. If it is not there in this revision, `pack` packs it:
  // pack(destination) writes slot.bytes bytes of host memory. `staging` is that memory if device memory is not the
  // host's. It may be used for the next parameter when the call returns.
  using Pack = std::function<void(std::byte* destination)>;
  std::byte* packed(const Checkpoint& component, const WeightSlot& slot, uint64_t revision, const Pack& pack,
                    std::vector<std::byte>& staging);

  // Drops all parameters of a component that is destroyed.
  void forget(const Checkpoint& component);

  // Changes when a place changed, a parameter was dropped, or one was packed in another revision. Executables must then
  // be loaded again.
  uint64_t generation() const { return generation_; }
  // Bytes of the allocated memory.
  size_t bytes() const;
  // Bytes of the allocated memory that the held programs do not need: other parameters, and holes.
  size_t bytes_of_others() const;
  // Bytes of all parameters packed so far.
  size_t bytes_packed() const { return bytes_packed_; }

 private:
  struct Key {
    const Checkpoint* component;
    PackedForm form;
    auto operator<=>(const Key&) const = default;
    bool same_parameter(const Key& other) const {
      return component == other.component && form.names == other.form.names;
    }
  };
  // Memory of several parameters.
  struct Slab {
    std::unique_ptr<Buffer> buffer;
    std::map<size_t, size_t> holes;  // offset -> bytes
    size_t used() const;
  };
  struct Place {
    Slab* slab = nullptr;  // nullptr: none yet
    size_t offset = 0;
  };
  struct Entry {
    size_t bytes = 0;  // aligned
    Place place;
    bool packed = false;
    uint64_t revision = 0;
    bool held = false;
  };
  using Entries = std::map<Key, Entry>;

  void mark_held(std::span<const ParameterUse> uses);
  void drop_others(Others others);
  void release(Entry& entry);
  void remove_empty_slabs();
  bool fill_hole(Entry& entry);
  void place_in_new_slabs(std::span<Entry* const> entries);
  void close_holes();

  Backend& backend_;
  Queue& queue_;
  Entries entries_;
  std::list<Slab> slabs_;
  uint64_t generation_ = 1;
  size_t bytes_packed_ = 0;
};

}  // namespace tempera
