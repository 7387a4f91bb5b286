// The kind of a model file, from its header: names and shapes of tensors and metadata, no elements. Messages that
// refuse a file and lists of model folders use the same answer.
#pragma once

#include <string>

#include "weights/checkpoint.h"

namespace tempera {

enum class FileKind : uint8_t {
  checkpoint,  // a UNet or transformer together with text encoders or an autoencoder
  unet,        // a UNet or transformer alone
  vae,
  tiny_vae,
  text_encoder,
  lora,  // with LyCORIS and other changes of weights
  embedding,
  controlnet,
  t2i_adapter,
  ip_adapter,
  image_encoder,
  upscaler,
  unknown,
};

struct FileClass {
  FileKind kind = FileKind::unknown;
  // The family: "sdxl", "sdxl-refiner", "sd1", "sd2", "sd3", "flux", "pixart", "stable-cascade", "hunyuan-dit" and
  // others (base_label has all of them). Empty: the header does not show it, or the kind has no family.
  std::string base = {};
  // "epsilon" or "v_prediction", if a tensor or the metadata says so. Empty: the file does not say.
  std::string prediction = {};
  bool zero_terminal_snr = false;  // a tensor `ztsnr`
  bool edm = false;         // a continuous EDM schedule: tensors `edm_mean` (Playground 2.5) or `edm_vpred.*` (CosXL)
  bool inpainting = false;  // of checkpoint and unet: 9 input channels
  std::string reason = {};  // the tensor or the metadata that decided; empty for unknown
};

// Throws nothing: a file of an unknown kind is FileKind::unknown.
FileClass classify(const Checkpoint& file);

// "sd1" -> "Stable Diffusion 1"; the name itself if it has no label.
std::string base_label(const std::string& base);

// For sentences: "a Stable Diffusion 1 checkpoint", "a LoRA for SDXL", "a VAE", "a file of an unknown kind".
std::string describe(const FileClass& file);

}  // namespace tempera
