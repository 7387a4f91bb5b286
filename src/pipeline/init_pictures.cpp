#include "pipeline/init_pictures.h"

#include "base/error.h"
#include "image/blur.h"
#include "image/mask.h"
#include "image/resize_modes.h"

namespace tempera {
namespace {

constexpr uint8_t kWhite = 128;  // from here on, a hard mask is white

ResizeMode resize_mode(const Request& request) {
  if (request.padding_mask_crop || request.resize_mode == "fill") return ResizeMode::fill;
  return request.resize_mode == "crop" ? ResizeMode::crop : ResizeMode::stretch;
}

bool pastes(const Request& request) {
  return request.paste == "on" || (request.paste == "auto" && request.padding_mask_crop);
}

PixelBox region_of(const std::vector<uint8_t>& grey, const InputPicture& mask, int width, int height, int margin) {
  const auto region = crop_region(grey, mask.image.width, mask.image.height, width, height, margin);
  if (!region)
    fail(ErrorCode::invalid_argument, "'{}' is all black, so {} has no region: make a part of the mask white",
         mask.path.string(), FieldName{"padding_mask_crop"});
  return *region;
}
}  // namespace

std::optional<std::array<int, 2>> own_size(const Request& request, const InputPictures& pictures, int unit) {
  if (pictures.init.empty() || request.padding_mask_crop) return std::nullopt;
  const auto& [path, label, sha256, image] = pictures.init.front();
  if (image.width < unit || image.height < unit)
    fail(ErrorCode::invalid_argument, "'{}' has {} x {} pixels, too few to draw at this size: give {} and {}",
         path.string(), image.width, image.height, FieldName{"width"}, FieldName{"height"});
  return std::array{image.width - image.width % unit, image.height - image.height % unit};
}

PreparedPicture prepare_picture(const Request& request, const InputPicture& init, const InputPicture* mask, int width,
                                int height) {
  const ResizeMode mode = resize_mode(request);
  if (mask == nullptr) return {resize_picture(init.image, width, height, mode), {}};
  PreparedPicture prepared;
  Image8 picture = init.image, painted = mask->image;
  gaussian_blur(painted.rgb, painted.width, painted.height, 3, static_cast<float>(request.mask_blur));
  if (request.padding_mask_crop) {
    prepared.original_mask = to_grey(painted);
    prepared.region = region_of(prepared.original_mask, *mask, width, height, *request.padding_mask_crop);
    prepared.original = std::move(picture);
    picture = crop_picture(prepared.original, *prepared.region);
    painted = crop_picture(painted, *prepared.region);
  }
  prepared.image = resize_picture(picture, width, height, mode);
  prepared.mask = to_grey(resize_picture(painted, width, height, mode));
  if (request.mask_mode == "hard")
    for (uint8_t& value : prepared.mask) value = value >= kWhite ? 255 : 0;
  if (pastes(request) && !prepared.region) {
    prepared.original = prepared.image;
    prepared.original_mask = prepared.mask;
  }
  if (request.inpaint_fill == "blur") fill_from_surroundings(prepared.image, prepared.mask);
  return prepared;
}

std::vector<float> encoder_input(const PreparedPicture& picture, bool masked) {
  TEMPERA_ASSERT(!masked || picture.mask.size() * 3 == picture.image.rgb.size());
  std::vector<float> values(picture.image.rgb.size());
  for (size_t i = 0; i < values.size(); ++i) {
    if (masked && picture.mask[i / 3] >= kWhite) continue;
    values[i] = 2.0F * (static_cast<float>(picture.image.rgb[i]) / 255.0F) - 1.0F;
  }
  return values;
}

std::vector<float> latent_mask(const PreparedPicture& picture, int unit) {
  const int width = picture.image.width / unit, height = picture.image.height / unit;
  TEMPERA_ASSERT(picture.mask.size() * 3 == picture.image.rgb.size());
  std::vector<float> values;
  values.reserve(static_cast<size_t>(width) * height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const uint8_t value = picture.mask[static_cast<size_t>(y) * unit * picture.image.width + x * unit];
      values.push_back(static_cast<float>(value) / 255.0F);
    }
  }
  return values;
}

Image8 finish_picture(const Request& request, const PreparedPicture& picture, Image8 drawn) {
  TEMPERA_ASSERT(drawn.width == picture.image.width && drawn.height == picture.image.height);
  if (picture.region) {
    const auto [left, top, right, bottom] = *picture.region;
    Image8 whole = picture.original;
    put_picture(whole, resize_picture(drawn, right - left, bottom - top, ResizeMode::crop), left, top);
    drawn = std::move(whole);
  }
  if (pastes(request) && !picture.original_mask.empty()) overlay(drawn, picture.original, picture.original_mask);
  return drawn;
}

}  // namespace tempera
