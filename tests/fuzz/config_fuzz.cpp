// Any bytes are a valid configuration or give Error(bad_file), for each kind of config.json. What is valid is safe to
// compute with: no division by zero, no overflow.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "models/config_json.h"

namespace {
void expect(bool condition) {
  if (!condition) std::abort();
}

template <class Parse>
void expect_bad_file_or(const Parse& parse) {
  try {
    parse();
  } catch (const tempera::Error& error) {
    expect(error.code() == tempera::ErrorCode::bad_file);
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      expect_bad_file_or([&] {
        const tempera::ClipConfig clip = tempera::parse_clip_config(text, "fuzz", (data[0] & 4) != 0);
        expect(clip.head_dim() * clip.num_attention_heads == clip.hidden_size);
      });
      break;
    case 1:
      expect_bad_file_or([&] {
        const tempera::UnetConfig unet = tempera::parse_unet_config(text, "fuzz");
        expect(!unet.down.empty() && unet.down.size() == unet.up.size());
        for (const tempera::UnetBlock& block : unet.down) expect(block.heads == 0 || block.channels % block.heads == 0);
      });
      break;
    case 2:
      expect_bad_file_or([&] { expect(tempera::parse_vae_config(text, "fuzz").scale() >= 1); });
      break;
    default:
      expect_bad_file_or([&] { tempera::parse_tiny_vae_config(text, "fuzz"); });
  }
  return 0;
}
