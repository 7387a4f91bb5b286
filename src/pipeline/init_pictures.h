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

// A picture file of a request, decoded. A mask that only `extend` makes has no file: then all but the image is empty.
struct InputPicture {
  std::filesystem::path path;
  std::string label;   // for the metadata: the name of the file without its folder
  std::string sha256;  // of the file, 64 hexadecimal digits
  Image8 image;
};

struct InputPictures {
  std::vector<InputPicture> init, mask;  // mask: none, one for all pictures, or one for each of init
};
// Reads init_image and mask_image of the request, with the pixels of `extend` added. New pixels of a picture repeat its
// edges, those of a mask are white. With `extend` and without mask_image there is one mask for each picture, black over
// the picture.
//
// Throws Error(bad_file) or Error(io) of the readers, and Error(invalid_argument) in these cases:
// 1. mask_image, extend or another resize_mode than default, but no init_image.
// 2. padding_mask_crop, mask_blur, inpaint_fill, mask_mode soft or paste on, but neither mask_image nor extend.
// 3. padding_mask_crop with resize_mode crop: the region is always resized with fill.
// 4. The number of masks is neither 1 nor the number of pictures.
// 5. A mask has another size than its picture, with padding_mask_crop, extend or another resize_mode than default.
// 6. With extend, a picture has more than 8192 pixels on a side or more than 64 Mpx.
InputPictures read_input_pictures(const Request& request);

// The size of the pictures if the request does not name one: that of the first init picture, rounded down to `unit`
// pixels. Nothing without init pictures, and with padding_mask_crop (then the model's own size is drawn). Throws
// Error(invalid_argument) if a side has fewer than `unit` pixels.
std::optional<std::array<int, 2>> own_size(const Request& request, const InputPictures& pictures, int unit);

// One picture at the size that is drawn, and what is necessary to bring the drawn picture back.
struct PreparedPicture {
  Image8 image;               // width x height; with inpaint_fill blur, the part under the mask is replaced
  std::vector<uint8_t> mask;  // (H, W): 255 is painted; hard masks have 0 and 255 only. Empty: no mask
  // With padding_mask_crop: the input and its grey mask at their own size, and the region of them that is drawn (left,
  // top, right, bottom). With pasting and without a region: the input at width x height, and `mask`. Else empty.
  Image8 original = {};
  std::vector<uint8_t> original_mask = {};
  std::optional<std::array<int, 4>> region = {};
};
// `mask`: nullptr without. width and height are the size that is drawn. The order is that of diffusers:
// 1. mask_blur blurs the mask.
// 2. With padding_mask_crop, both are cut to the region of the mask.
// 3. Both are resized with Lanczos and resize_mode; a region always with fill.
// 4. The mask becomes grey. A hard mask is cut at 0.5: values from 128 on are white.
// Throws Error(invalid_argument) if the mask is all black and there is padding_mask_crop.
PreparedPicture prepare_picture(const Request& request, const InputPicture& init, const InputPicture* mask, int width,
                                int height);

// 2 (image / 255) - 1 in float32, (H, W, 3): the input of an encoder. With `masked`, pixels under white mask (128 and
// more) are 0 (grey), as diffusers' masked_image.
std::vector<float> encoder_input(const PreparedPicture& picture, bool masked);

// The mask at the size of the latents: (h, w), 0 to 1, the first pixel of each block of `unit` x `unit` (as
// torch.nn.functional.interpolate with mode nearest).
std::vector<float> latent_mask(const PreparedPicture& picture, int unit);

// The finished picture: `drawn` (width x height), in its place in the original if there is a region, with the input's
// pixels under black mask if pasting is on (diffusers' apply_overlay). Grey mask mixes the two: the mask of a region,
// or a soft one.
Image8 finish_picture(const Request& request, const PreparedPicture& picture, Image8 drawn);

}  // namespace tempera
