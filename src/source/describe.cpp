// The classes of files in words.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "source/classify.h"

namespace tempera {
namespace {
struct Label {
  std::string_view base, label;
};
}  // namespace

std::string base_label(const std::string& base) {
  constexpr std::array kLabels = {
      Label{"sdxl", "SDXL"},
      Label{"sdxl-refiner", "SDXL refiner"},
      Label{"sd1", "Stable Diffusion 1"},
      Label{"sd2", "Stable Diffusion 2"},
      Label{"sd3", "Stable Diffusion 3"},
      Label{"svd", "Stable Video Diffusion"},
      Label{"flux", "Flux"},
      Label{"chroma", "Chroma"},
      Label{"kolors", "Kolors"},
      Label{"pixart", "PixArt"},
      Label{"stable-cascade", "Stable Cascade"},
      Label{"hunyuan-dit", "Hunyuan-DiT"},
      Label{"hunyuan-video", "HunyuanVideo"},
      Label{"aura-flow", "AuraFlow"},
      Label{"mochi", "Mochi"},
      Label{"ltx-video", "LTX-Video"},
      Label{"lumina", "Lumina"},
      Label{"qwen-image", "Qwen-Image"},
      Label{"wan", "Wan"},
      Label{"16-channel", "Stable Diffusion 3 or Flux"},
      Label{"clip-l", "CLIP L"},
      Label{"clip-g", "OpenCLIP G"},
      Label{"clip-h", "OpenCLIP H"},
      Label{"t5", "T5"},
  };
  const auto at = std::ranges::find(kLabels, base, &Label::base);
  return at == kLabels.end() ? base : std::string(at->label);
}

std::string describe(const FileClass& file) {
  const std::string base = base_label(file.base);
  const auto of_family = [&](std::string_view thing) {
    if (base.empty()) return fmt::format("a {}", thing);
    const bool vowel =
        std::string_view("AEIOUS").find(base[0]) != std::string_view::npos && !base.starts_with("Stable");
    return fmt::format("{} {} {}", vowel ? "an" : "a", base, thing);
  };
  const auto for_family = [&](std::string_view thing) {
    return base.empty() ? std::string(thing) : fmt::format("{} for {}", thing, base);
  };
  switch (file.kind) {
    case FileKind::checkpoint:
      return of_family(file.inpainting ? "inpainting checkpoint" : "checkpoint");
    case FileKind::unet:
      return of_family(file.inpainting ? "inpainting UNet without its other parts" : "UNet without its other parts");
    case FileKind::vae:
      return for_family("a VAE");
    case FileKind::tiny_vae:
      return "a tiny autoencoder";
    case FileKind::text_encoder:
      return base.empty() ? "a text encoder" : fmt::format("a text encoder ({})", base);
    case FileKind::lora:
      return for_family("a LoRA");
    case FileKind::embedding:
      return for_family("a textual inversion embedding");
    case FileKind::controlnet:
      return for_family("a ControlNet");
    case FileKind::t2i_adapter:
      return for_family("a T2I-Adapter");
    case FileKind::ip_adapter:
      return for_family("an IP-Adapter");
    case FileKind::image_encoder:
      return "an image encoder";
    case FileKind::upscaler:
      return "an upscaler";
    case FileKind::unknown:
      break;
  }
  return "a file of an unknown kind";
}

}  // namespace tempera
