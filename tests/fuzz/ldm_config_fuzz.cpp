// The tensors of a small single-file model. The input decides which ones are dropped, renamed or given another shape.
// The result is a consistent configuration or Error(bad_file).
//
// The allocations of the names of all tensors need most of the time of a run. So the model has as few tensors as a
// model can have, and only tensors that the configuration depends on. The address sanitizer keeps short stacks of
// allocations. With all tensors of a small model there were 62 runs a second.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "source/test_models.h"
#include "weights/made.h"

namespace {
using Tensors = tempera::MadeCheckpoint::Tensors;

// Two levels, one layer of everything.
tempera::ModelConfig least_model() {
  tempera::ModelConfig model = tempera::small_model();
  model.text_encoder->num_hidden_layers = model.text_encoder_2.num_hidden_layers = 1;
  model.unet.down = {{64, 0, {0}}, {64, 1, {1}}};
  model.unet.up = {{64, 1, {1, 1}}, {64, 0, {0, 0}}};
  model.unet.mid = {tempera::UnetMidBlock::Kind::cross_attention, 1, 1};
  model.vae.block_out_channels = {32, 64};
  model.vae.layers_per_block = 1;
  return model;
}

// The ends of the names whose presence or shape decides something.
constexpr std::array<std::string_view, 24> kRead = {"input_blocks.0.0.weight",
                                                    "time_embed.0.weight",
                                                    "label_emb.0.0.weight",
                                                    "out.2.weight",
                                                    "in_layers.2.weight",
                                                    "out_layers.3.weight",
                                                    "0.op.weight",
                                                    "proj_in.weight",
                                                    "1.norm.weight",
                                                    "attn2.to_k.weight",
                                                    "token_embedding.weight",
                                                    "position_embedding.weight",
                                                    "positional_embedding",
                                                    "mlp.fc1.weight",
                                                    "mlp.c_fc.weight",
                                                    "mlp.c_proj.bias",
                                                    "text_projection",
                                                    "decoder.conv_in.weight",
                                                    "decoder.conv_out.weight",
                                                    "block.0.conv1.weight",
                                                    "block.1.conv1.weight",
                                                    "block.0.conv2.weight",
                                                    "quant_conv.weight",
                                                    "attn_1.q.weight"};

bool is_read(std::string_view name) {
  if (name.starts_with("first_stage_model.encoder.")) return false;  // the decoder is read
  return std::any_of(kRead.begin(), kRead.end(), [&](std::string_view end) { return name.ends_with(end); });
}

// Six bytes per edit: the tensor (2), the operation, its value (2), and its position.
void edit(Tensors& tensors, const uint8_t* bytes) {
  if (tensors.empty()) return;
  const auto at = std::next(tensors.begin(), (bytes[0] | bytes[1] << 8) % static_cast<int>(tensors.size()));
  const int64_t value = bytes[3] | bytes[4] << 8;
  std::vector<int64_t>& dims = at->second.dims;
  switch (bytes[2] % 6) {
    case 0:
      tensors.erase(at);
      break;
    case 1:
      if (!dims.empty()) dims[bytes[5] % dims.size()] = value;
      break;
    case 2:
      if (!dims.empty()) dims[bytes[5] % dims.size()] = value << 40;
      break;
    case 3:
      dims.push_back(value);
      break;
    case 4:
      if (!dims.empty()) dims.pop_back();
      break;
    default: {  // another number in the name
      std::string name = at->first;
      const size_t digit = name.find_first_of("0123456789", value % static_cast<int64_t>(name.size()));
      if (digit == std::string::npos) return;
      name[digit] = static_cast<char>('0' + bytes[5] % 10);
      tensors.emplace(name, at->second);
    }
  }
}
}  // namespace

extern "C" const char* __asan_default_options() {
  return "malloc_context_size=1:quarantine_size_mb=16";
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto* const original = [] {
    auto* tensors = new Tensors;
    for (const tempera::TensorSpec& tensor : tempera::single_file_tensors(least_model())) {
      if (is_read(tensor.name)) (*tensors)[tensor.name] = {tensor.dtype, tensor.dims, {}};
    }
    return tensors;
  }();
  auto tensors = *original;
  for (size_t i = 0; i + 6 <= size && i < 60; i += 6) edit(tensors, data + i);
  try {
    const tempera::LdmModel model =
        tempera::read_ldm_model(tempera::MadeCheckpoint(std::move(tensors), "fuzz"), "fuzz");
    check(model.config, "fuzz");
  } catch (const tempera::Error& error) {
    if (error.code() != tempera::ErrorCode::bad_file) std::abort();
  }
  return 0;
}
