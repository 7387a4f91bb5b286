// Published models that were distilled from SDXL to smaller UNets. Text encoders and autoencoder are SDXL's.
#include "models/config.h"

namespace tempera {
namespace {

// Depths of the blocks of 320, 640 and 1280 channels; on the way up innermost first. Heads are 64 wide.
ModelConfig with_depths(const std::vector<std::vector<int>>& down, const std::vector<std::vector<int>>& up,
                        UnetMidBlock mid) {
  ModelConfig model = sdxl_base();
  for (size_t i = 0; i < down.size(); ++i) {
    model.unet.down[i].depths = down[i];
    model.unet.up[i].depths = up[i];
  }
  model.unet.mid = mid;
  return model;
}

}  // namespace

// segmind/SSD-1B (Gupta et al. 2024)
ModelConfig ssd_1b() {
  return with_depths({{0, 0}, {2, 2}, {4, 4}}, {{4, 4, 10}, {2, 1, 1}, {0, 0, 0}}, {UnetMidBlock::Kind::resnet, 0, 0});
}

// segmind/Segmind-Vega (Gupta et al. 2024)
ModelConfig segmind_vega() {
  return with_depths({{0, 0}, {1, 1}, {2, 2}}, {{2, 2, 2}, {1, 1, 1}, {0, 0, 0}}, {UnetMidBlock::Kind::resnet, 0, 0});
}

// etri-vilab/koala-1b (Lee et al. 2023)
ModelConfig koala_1b() {
  return with_depths({{0}, {2}, {6}}, {{6, 6}, {2, 2}, {0, 0}}, {UnetMidBlock::Kind::cross_attention, 20, 6});
}

// etri-vilab/koala-700m (Lee et al. 2023)
ModelConfig koala_700m() {
  return with_depths({{0}, {2}, {5}}, {{5, 5}, {2, 2}, {0, 0}}, {UnetMidBlock::Kind::none, 0, 0});
}

}  // namespace tempera
