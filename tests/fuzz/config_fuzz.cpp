// Any bytes are a valid configuration or give Error(bad_file), for each kind of component. A valid configuration is
// safe to compute with: no division by zero, no overflow.
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "expect.h"
#include "models/components.h"

namespace tempera {
namespace {
template <class Config>
void expect_sound(const Config&) {}  // no computation uses only its numbers
void expect_sound(const ClipConfig& clip) {
  expect(clip.head_dim() * clip.num_attention_heads == clip.hidden_size);
}
void expect_sound(const UnetConfig& unet) {
  expect(!unet.down.empty() && unet.down.size() == unet.up.size());
  for (const UnetBlock& block : unet.down) expect(block.heads == 0 || block.channels % block.heads == 0);
}
void expect_sound(const VaeConfig& vae) {
  expect(vae.scale() >= 1);
}
}  // namespace
}  // namespace tempera

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto kinds = tempera::component_kinds();
  try {
    const tempera::ComponentConfig config = kinds[data[0] % kinds.size()].parse(text, "fuzz");
    std::visit([](const auto& c) { tempera::expect_sound(c); }, config);
  } catch (const tempera::Error& error) {
    tempera::expect(error.code() == tempera::ErrorCode::bad_file);
  }
  return 0;
}
