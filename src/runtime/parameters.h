// Packed parameters on a device, by component, weight, form and revision: one copy of each, shared by all executables
// that read it. A parameter is packed when an executable is loaded that reads it, and dropped when no program reads it
// in that form any more.
//
// A component is known by its checkpoint. The owner says with hold() which programs are in use; executables then ask
// for the places of what they read and pack what is not there yet.
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

  // What to do with packed parameters that the programs of hold() do not read.
  enum class Others : uint8_t {
    keep,  // but for those that the programs read in another form: a parameter is never there in two forms, unless the
           // programs read both
    drop,
  };
  // Says which programs may run until the next call, and takes the memory for what they read and is not there yet.
  // Nothing is packed. Places of parameters that stay can change with Others::drop, where memory is given back.
  // Throws Error(out_of_memory).
  void hold(std::span<const ParameterUse> uses, Others others);

  // Where a resident parameter of a held program is, packed by `pack` if it is not there in this revision.
  // pack(destination) writes slot.bytes bytes of host memory. `staging` is that memory where the device's is another;
  // it may be used for the next parameter as soon as the call returns.
  using Pack = std::function<void(std::byte* destination)>;
  std::byte* packed(const Checkpoint& component, const WeightSlot& slot, uint64_t revision, const Pack& pack,
                    std::vector<std::byte>& staging);

  // Drops all parameters of a component that ends.
  void forget(const Checkpoint& component);

  // Changes whenever a place changed or a parameter was dropped: executables must be loaded again then.
  uint64_t generation() const { return generation_; }
  // Of the memory that is taken.
  size_t bytes() const;
  // Of the memory that is taken, what the held programs do not need: other parameters, and holes.
  size_t bytes_of_others() const;
  // All that was packed so far.
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
  // Memory that several parameters lie in.
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
