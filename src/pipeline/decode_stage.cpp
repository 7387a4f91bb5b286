#include "pipeline/decode_stage.h"

#include <algorithm>

#include "base/error.h"

namespace tempera {
namespace {

// The part of a latent (height, width, C) that a tile covers.
DeviceRows cut(const std::byte* latent, const TensorDesc& tile, const TileGrid& grid, const TileSpan& rows,
               const TileSpan& columns) {
  const size_t pixel_bytes = static_cast<size_t>(tile.shape[-1]) * size_of(tile.dtype);
  const size_t stride = static_cast<size_t>(grid.width) * pixel_bytes;
  const std::byte* first =
      latent + static_cast<size_t>(rows.begin) * stride + static_cast<size_t>(columns.begin) * pixel_bytes;
  return {first, static_cast<size_t>(rows.size), static_cast<size_t>(columns.size) * pixel_bytes, stride};
}

size_t picture_bytes(const TileGrid& grid) {
  const auto scale = static_cast<size_t>(grid.scale);
  return static_cast<size_t>(grid.height) * scale * static_cast<size_t>(grid.width) * scale * 3;
}

}  // namespace

void DecodeStage::load(const DecoderPrograms& programs, Backend& backend, Queue& queue, Buffer& scratch, bool replay,
                       const Checkpoint& weights, const CheckCancelled& check) {
  // Executables that were bound for equal programs are kept, with their recordings.
  const auto bound_for = [](const Executable& e, const Program& program) {
    return e.loaded() && e.program() == program;
  };
  if (std::equal(shapes_.begin(), shapes_.end(), programs.shapes.begin(), programs.shapes.end(), bound_for)) {
    programs_ = &programs;
    return;
  }
  unbind();
  const auto packed_for = [](const std::vector<LoadedWeights>& packings, const Program& program) {
    return std::find_if(packings.begin(), packings.end(),
                        [&](const LoadedWeights& p) { return same_packing(p.slots, program.weights); });
  };
  // What no shape wants any more goes before anything is loaded.
  std::erase_if(packings_, [&](const LoadedWeights& packing) {
    return std::none_of(programs.shapes.begin(), programs.shapes.end(),
                        [&](const Program& shape) { return same_packing(packing.slots, shape.weights); });
  });
  for (const Program& shape : programs.shapes) {
    const auto known = packed_for(packings_, shape);
    Executable& executable =
        shapes_.emplace_back(shape, backend, queue, scratch, known == packings_.end() ? LoadedWeights{} : *known);
    executable.set_replay(replay);
    if (executable.loaded()) continue;
    executable.load(weights, check);
    if (shape.segments.empty()) packings_.push_back(executable.weights());
  }
  programs_ = &programs;
}

void DecodeStage::unbind() {
  inside_ = nullptr;
  shapes_.clear();
  programs_ = nullptr;
}

void DecodeStage::watch(StepWatcher* watcher) {
  for (Executable& shape : shapes_) shape.watch(watcher);
}

void DecodeStage::leave() {
  for (Executable& shape : shapes_) shape.leave();
  inside_ = nullptr;
}

// The one of the tile before, also of the picture before, may have parameters under way in the memory they share.
Executable& DecodeStage::enter(size_t index) {
  Executable& shape = shapes_[index];
  if (inside_ != nullptr && inside_ != &shape) inside_->leave();
  inside_ = &shape;
  return shape;
}

std::vector<uint8_t> DecodeStage::decode(const std::byte* latent, const CheckCancelled& check,
                                         const std::function<void(size_t, size_t)>& on_tile) {
  TEMPERA_ASSERT(programs_ != nullptr);
  const TileGrid& grid = programs_->grid;
  if (!programs_->tiled()) {
    std::vector<uint8_t> rgb = decode_whole(latent, check);
    on_tile(1, 1);
    return rgb;
  }
  std::vector<uint8_t> rgb(picture_bytes(grid));
  const std::unique_ptr<TileBlender> blender = make_blender(grid, rgb);
  size_t done = 0;
  for (const TileSpan& row : grid.rows)
    for (const TileSpan& column : grid.columns) {
      Executable& shape = enter(programs_->shape_of[done]);
      shape.copy_input("latent", cut(latent, shape.program().input("latent").ref.desc, grid, row, column));
      shape.run(check);
      std::vector<float> tile = shape.read_output("image");
      blender->add(tile);
      on_tile(++done, grid.count());
    }
  return rgb;
}

std::vector<uint8_t> DecodeStage::decode_whole(const std::byte* latent, const CheckCancelled& check) {
  std::vector<uint8_t> rgb(picture_bytes(programs_->grid));
  const size_t bytes = shapes_.front().program().input("latent").ref.desc.bytes();
  shapes_.front().copy_input("latent", {latent, 1, bytes, bytes});
  shapes_.front().run(check);
  shapes_.front().read_output("image", std::as_writable_bytes(std::span(rgb)));
  return rgb;
}

}  // namespace tempera
