#include "backend/host_backend.h"

#include <algorithm>
#include <utility>

#include "backend/host_buffer.h"
#include "backend/host_memory.h"

namespace tempera {

std::unique_ptr<Buffer> HostBackend::allocate(size_t bytes) {
  return allocate_host_buffer(bytes);
}

std::unique_ptr<Queue> HostBackend::make_queue() {
  return std::make_unique<HostQueue>();
}

void HostBackend::upload(Queue&, std::byte* device, std::span<const std::byte> host) {
  std::ranges::copy(host, device);
}

void HostBackend::download(Queue&, std::span<std::byte> host, const std::byte* device) {
  std::copy_n(device, host.size(), host.data());
}

void HostBackend::copy(Queue&, std::byte* to, const DeviceRows& from) {
  copy_rows(to, from);
}

std::unique_ptr<Transfers> HostBackend::make_transfers(Queue&, std::vector<Transfers::Item> items) {
  return make_host_transfers(std::move(items));
}

size_t HostBackend::free_memory() const {
  return free_host_memory();
}

size_t HostBackend::total_memory() const {
  return total_host_memory();
}

}  // namespace tempera
