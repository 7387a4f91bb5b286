#include "runtime/parameters.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace tempera {
namespace {

// The size of a buffer for several parameters: so large that the driver's rounding is negligible, so small that it can
// be copied when it has holes.
constexpr size_t kSlab = size_t{256} << 20;
// A slab with at least this size of holes is copied to a smaller one when memory is given back.
constexpr size_t kWaste = size_t{256} << 10;

size_t round_up(size_t n, size_t alignment) {
  return (n + alignment - 1) / alignment * alignment;
}

}  // namespace

Parameters::Parameters(Backend& backend, Queue& queue) : backend_(backend), queue_(queue) {}
Parameters::~Parameters() = default;

size_t Parameters::Slab::used() const {
  size_t bytes = buffer->size();
  for (const auto& [offset, hole] : holes) bytes -= hole;
  return bytes;
}

void Parameters::hold(std::span<const ParameterUse> uses, Others others) {
  mark_held(uses);
  drop_others(others);
  std::vector<Entry*> missing;
  for (auto& [key, entry] : entries_)
    if (entry.held && entry.place.slab == nullptr) missing.push_back(&entry);
  // The largest first, so that small ones do not use the holes that large ones fit into.
  std::stable_sort(missing.begin(), missing.end(), [](const Entry* a, const Entry* b) { return a->bytes > b->bytes; });
  std::erase_if(missing, [&](Entry* entry) { return fill_hole(*entry); });
  if (others == Others::drop) close_holes();
  place_in_new_slabs(missing);
}

void Parameters::mark_held(std::span<const ParameterUse> uses) {
  for (auto& [key, entry] : entries_) entry.held = false;
  for (const ParameterUse& use : uses)
    for (const WeightSlot& slot : use.program->weights) {
      if (slot.segment != WeightSlot::kResident) continue;
      Entry& entry = entries_[{use.component, packed_form(slot)}];
      entry.held = true;
      entry.bytes = round_up(slot.bytes, backend_.target().alignment);
    }
}

void Parameters::drop_others(Others others) {
  // Forms of one parameter are neighbours in the map.
  for (auto at = entries_.begin(); at != entries_.end();) {
    auto end = at;
    bool any_held = false;
    while (end != entries_.end() && end->first.same_parameter(at->first)) any_held = (end++)->second.held || any_held;
    while (at != end) {
      if (at->second.held || (others == Others::keep && !any_held)) {
        ++at;
        continue;
      }
      release(at->second);
      at = entries_.erase(at);
    }
  }
  remove_empty_slabs();
}

void Parameters::release(Entry& entry) {
  if (entry.place.slab == nullptr) return;
  auto& holes = entry.place.slab->holes;
  auto hole = holes.emplace(entry.place.offset, entry.bytes).first;
  if (const auto next = std::next(hole); next != holes.end() && hole->first + hole->second == next->first) {
    hole->second += next->second;
    holes.erase(next);
  }
  if (hole != holes.begin())
    if (const auto before = std::prev(hole); before->first + before->second == hole->first) {
      before->second += hole->second;
      holes.erase(hole);
    }
  entry.place = {};
  entry.packed = false;
  ++generation_;
}

void Parameters::remove_empty_slabs() {
  // The queue may still have work that reads there.
  if (std::any_of(slabs_.begin(), slabs_.end(), [](const Slab& slab) { return slab.used() == 0; }))
    queue_.synchronize();
  std::erase_if(slabs_, [](const Slab& slab) { return slab.used() == 0; });
}

bool Parameters::fill_hole(Entry& entry) {
  for (Slab& slab : slabs_)
    for (auto hole = slab.holes.begin(); hole != slab.holes.end(); ++hole) {
      const auto [offset, bytes] = *hole;
      if (bytes < entry.bytes) continue;
      slab.holes.erase(hole);
      if (bytes > entry.bytes) slab.holes.emplace(offset + entry.bytes, bytes - entry.bytes);
      entry.place = {&slab, offset};
      ++generation_;
      return true;
    }
  return false;
}

// Each slab has the size of its parameters.
void Parameters::place_in_new_slabs(std::span<Entry* const> entries) {
  struct Bin {
    std::vector<Entry*> entries;
    size_t bytes = 0;
  };
  std::vector<Bin> bins;
  for (Entry* entry : entries) {
    const auto bin =
        std::find_if(bins.begin(), bins.end(), [&](const Bin& b) { return b.bytes + entry->bytes <= kSlab; });
    Bin& chosen = bin == bins.end() ? bins.emplace_back() : *bin;
    chosen.entries.push_back(entry);
    chosen.bytes += entry->bytes;
  }
  for (const Bin& bin : bins) {
    Slab& slab = slabs_.emplace_back(Slab{backend_.allocate(bin.bytes), {}});
    size_t offset = 0;
    for (Entry* entry : bin.entries) {
      entry->place = {&slab, offset};
      offset += entry->bytes;
    }
    if (slab.buffer->size() > offset) slab.holes.emplace(offset, slab.buffer->size() - offset);
    ++generation_;
  }
}

// Copies the parameters in slabs with holes to slabs without, one slab after the other, so that at most one is there
// twice.
void Parameters::close_holes() {
  for (Slab& slab : slabs_) {
    const size_t used = slab.used();
    if (slab.buffer->size() - used < kWaste) continue;
    std::unique_ptr<Buffer> smaller;
    try {
      smaller = backend_.allocate(used);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::out_of_memory) throw;
      return;  // the holes stay
    }
    size_t offset = 0;
    for (auto& [key, entry] : entries_) {
      if (entry.place.slab != &slab) continue;
      backend_.copy(queue_, smaller->data() + offset,
                    {slab.buffer->data() + entry.place.offset, 1, entry.bytes, entry.bytes});
      entry.place.offset = offset;
      offset += entry.bytes;
    }
    queue_.synchronize();
    slab.buffer = std::move(smaller);
    slab.holes.clear();
    ++generation_;
  }
}

std::byte* Parameters::packed(const Checkpoint& component, const WeightSlot& slot, uint64_t revision, const Pack& pack,
                              std::vector<std::byte>& staging) {
  const auto at = entries_.find({&component, packed_form(slot)});
  TEMPERA_ASSERT(at != entries_.end() && at->second.place.slab != nullptr);
  Entry& entry = at->second;
  std::byte* const place = entry.place.slab->buffer->data() + entry.place.offset;
  if (entry.packed && entry.revision == revision) return place;
  entry.packed = false;  // also when `pack` throws half-way
  if (backend_.host_visible()) {
    pack(place);
  } else {
    staging.resize(slot.bytes);
    pack(staging.data());
    backend_.upload(queue_, place, staging);
  }
  if (std::exchange(entry.revision, revision) != revision) ++generation_;
  entry.packed = true;
  bytes_packed_ += slot.bytes;
  return place;
}

void Parameters::forget(const Checkpoint& component) {
  for (auto at = entries_.begin(); at != entries_.end();) {
    if (at->first.component != &component) {
      ++at;
      continue;
    }
    release(at->second);
    at = entries_.erase(at);
  }
  remove_empty_slabs();
}

size_t Parameters::bytes() const {
  size_t bytes = 0;
  for (const Slab& slab : slabs_) bytes += slab.buffer->size();
  return bytes;
}

size_t Parameters::bytes_of_others() const {
  size_t held = 0;
  for (const auto& [key, entry] : entries_)
    if (entry.held && entry.place.slab != nullptr) held += entry.bytes;
  return bytes() - held;
}

}  // namespace tempera
