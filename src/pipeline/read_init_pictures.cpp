// Reading of init_image and mask_image, and the fields that contradict each other.
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "image/mask.h"
#include "image/picture_file.h"
#include "image/resize_modes.h"
#include "pipeline/init_pictures.h"
#include "source/catalog/sha256.h"

namespace tempera {
namespace {

constexpr int kMaxSide = 8192;
constexpr int64_t kMaxPixels = int64_t{1} << 26;

bool extends(const Request& request) {
  return request.extend != std::array{0, 0, 0, 0};
}

[[noreturn]] void fail_needs(FieldName field, std::string_view value, std::string_view need, FieldName missing) {
  fail(ErrorCode::invalid_argument, "{} {} {}: give {}, or leave {} out", field, value, need, missing, field);
}

void check_fields(const Request& request) {
  const auto needs_picture = [](std::string_view field, std::string_view value) {
    fail_needs(FieldName{field}, value, "needs a picture", FieldName{"init_image"});
  };
  if (request.init_image.empty()) {
    if (!request.mask_image.empty()) needs_picture("mask_image", request.mask_image.front());
    if (extends(request)) needs_picture("extend", fmt::format("{}", fmt::join(request.extend, ",")));
    if (request.resize_mode != "default") needs_picture("resize_mode", request.resize_mode);
  }
  const auto needs_mask = [](std::string_view field, std::string_view value) {
    fail_needs(FieldName{field}, value, "needs a mask", FieldName{"mask_image"});
  };
  if (request.mask_image.empty() && !extends(request)) {
    if (request.padding_mask_crop) needs_mask("padding_mask_crop", fmt::format("{}", *request.padding_mask_crop));
    if (request.mask_blur != 0) needs_mask("mask_blur", fmt::format("{}", request.mask_blur));
    if (request.inpaint_fill != "original") needs_mask("inpaint_fill", request.inpaint_fill);
    if (request.mask_mode != "hard") needs_mask("mask_mode", request.mask_mode);
    if (request.paste == "on") needs_mask("paste", request.paste);
  }
  if (request.padding_mask_crop && request.resize_mode == "crop")
    fail(ErrorCode::invalid_argument, "{} crop cuts off parts of the region of {}: leave {} out",
         FieldName{"resize_mode"}, FieldName{"padding_mask_crop"}, FieldName{"resize_mode"});
  const size_t masks = request.mask_image.size(), pictures = request.init_image.size();
  if (masks > 1 && masks != pictures)
    fail(ErrorCode::invalid_argument, "{} has {} files and {} has {}: give one mask for all pictures or one for each",
         FieldName{"mask_image"}, masks, FieldName{"init_image"}, pictures);
}

InputPicture read(const std::string& file) {
  const std::filesystem::path path(file);
  Image8 image = load_picture(path).image;
  return {path, path.filename().string(), sha256_of_file(path), std::move(image)};
}

// Masks of another size than their pictures are correct only if both are stretched.
void check_sizes(const Request& request, const InputPictures& pictures) {
  std::string_view reason;
  if (request.padding_mask_crop) {
    reason = "padding_mask_crop";
  } else if (extends(request)) {
    reason = "extend";
  } else if (request.resize_mode != "default") {
    reason = "resize_mode";
  }
  if (reason.empty() || pictures.mask.empty()) return;
  for (size_t i = 0; i < pictures.init.size(); ++i) {
    const InputPicture& init = pictures.init[i];
    const InputPicture& mask = pictures.mask[i % pictures.mask.size()];
    if (init.image.width == mask.image.width && init.image.height == mask.image.height) continue;
    fail(ErrorCode::invalid_argument,
         "the mask '{}' has {} x {} pixels and '{}' has {} x {}: {} needs a mask of the size of the picture",
         mask.path.string(), mask.image.width, mask.image.height, init.path.string(), init.image.width,
         init.image.height, FieldName{reason});
  }
}

void check_extended_size(const std::array<int, 4>& sides, const InputPicture& init) {
  const int64_t width = int64_t{init.image.width} + sides[0] + sides[2];
  const int64_t height = int64_t{init.image.height} + sides[1] + sides[3];
  if (std::max(width, height) > kMaxSide || width * height > kMaxPixels)
    fail(ErrorCode::invalid_argument,
         "'{}' has {} x {} pixels with {}: add fewer, at most 8192 on a side and 64 Mpx in all are possible",
         init.path.string(), width, height, FieldName{"extend"});
}

void extend(const std::array<int, 4>& sides, InputPictures& pictures) {
  for (const InputPicture& init : pictures.init) check_extended_size(sides, init);
  for (InputPicture& mask : pictures.mask)
    mask.image = outside_mask(mask.image.width, mask.image.height, sides, &mask.image);
  const bool makes_masks = pictures.mask.empty();
  for (InputPicture& init : pictures.init) {
    if (makes_masks) pictures.mask.push_back({{}, {}, {}, outside_mask(init.image.width, init.image.height, sides)});
    init.image = extend_picture(init.image, sides);
  }
}
}  // namespace

InputPictures read_input_pictures(const Request& request) {
  check_fields(request);
  InputPictures pictures;
  for (const std::string& file : request.init_image) pictures.init.push_back(read(file));
  for (const std::string& file : request.mask_image) pictures.mask.push_back(read(file));
  check_sizes(request, pictures);
  if (extends(request)) extend(request.extend, pictures);
  return pictures;
}

}  // namespace tempera
