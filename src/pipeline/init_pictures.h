// The pictures that a request starts from: from files to pixels at the size that is drawn, and back. Everything here
// runs on the host. The values are those of diffusers' VaeImageProcessor (StableDiffusionXLImg2ImgPipeline and
// StableDiffusionXLInpaintPipeline).
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "image/image.h"
#include "tempera/request.h"

namespace tempera {

// A picture file of a request, decoded.
struct InputPicture {
  std::filesystem::path path;
  std::string label;   // for the metadata: the name of the file without its folder
  std::string sha256;  // of the file, 64 hexadecimal digits
  Image8 image;
};

struct InputPictures {
  std::vector<InputPicture> init, mask;
};
// Reads init_image and mask_image of the request, with the pixels of `extend` added. Throws Error(bad_file) or
// Error(io) of the readers, and Error(invalid_argument) for fields that contradict each other (a mask without a
// picture, a mask of another size than its picture with padding_mask_crop, a number of masks other than one or that of
// the pictures, ...).
InputPictures read_input_pictures(const Request& request);

// The size of the pictures if the request does not name one: that of the first init picture, rounded down to `unit`
// pixels. Nothing without init pictures, and with padding_mask_crop (then the model's own size is drawn).
std::optional<std::array<int, 2>> own_size(const Request& request, const InputPictures& pictures, int unit);

// One picture at the size that is drawn, and what is necessary to bring the drawn picture back.
struct PreparedPicture {
  Image8 image;               // width x height
  std::vector<uint8_t> mask;  // (H, W): 255 is painted; hard masks have 0 and 255 only. Empty: no mask
  // With a crop or pasting: the input at its own size, its mask there, and the region (left, top, right, bottom).
  Image8 original = {};
  std::vector<uint8_t> original_mask = {};
  std::optional<std::array<int, 4>> region = {};
};
// `mask`: nullptr without. width and height are the size that is drawn.
PreparedPicture prepare_picture(const Request& request, const InputPicture& init, const InputPicture* mask, int width,
                                int height);

// image / 127.5 - 1, (H, W, 3): the input of an encoder. With `masked`, pixels under white mask are 0 (grey), as
// diffusers' masked_image.
std::vector<float> encoder_input(const PreparedPicture& picture, bool masked);

// The mask at the size of the latents: (h, w), 0 to 1, the first pixel of each block of `unit` x `unit` (as
// torch.nn.functional.interpolate with mode nearest).
std::vector<float> latent_mask(const PreparedPicture& picture, int unit);

// The finished picture: `drawn` (width x height), in its place in the original if there is a region, with the input's
// pixels under black mask if pasting is on.
Image8 finish_picture(const Request& request, const PreparedPicture& picture, Image8 drawn);

}  // namespace tempera
