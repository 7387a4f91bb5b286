#include "pipeline/decode_stage.h"

#include <algorithm>

#include "base/error.h"

namespace tempera {
namespace {

// The part of a latent (height, width, C) that a tile covers.
std::vector<float> cut(std::span<const float> latent, const TileGrid& grid, const TileSpan& rows,
                       const TileSpan& columns) {
  const auto width = static_cast<size_t>(grid.width);
  const size_t channels = latent.size() / (width * static_cast<size_t>(grid.height));
  const size_t count = static_cast<size_t>(columns.size) * channels;
  std::vector<float> part;
  part.reserve(count * static_cast<size_t>(rows.size));
  for (int y = rows.begin; y < rows.begin + rows.size; ++y) {
    const float* from = &latent[(static_cast<size_t>(y) * width + static_cast<size_t>(columns.begin)) * channels];
    part.insert(part.end(), from, from + count);
  }
  return part;
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
  shapes_.clear();
  programs_ = nullptr;
}

void DecodeStage::watch(StepWatcher* watcher) {
  for (Executable& shape : shapes_) shape.watch(watcher);
}

void DecodeStage::leave() {
  for (Executable& shape : shapes_) shape.leave();
}

std::vector<uint8_t> DecodeStage::decode(std::span<const float> latent, const CheckCancelled& check,
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
      const size_t index = programs_->shape_of[done];
      if (done > 0 && programs_->shape_of[done - 1] != index) shapes_[programs_->shape_of[done - 1]].leave();
      Executable& shape = shapes_[index];
      shape.write_input("latent", cut(latent, grid, row, column));
      shape.run(check);
      std::vector<float> tile = shape.read_output("image");
      blender->add(tile);
      on_tile(++done, grid.count());
    }
  return rgb;
}

std::vector<uint8_t> DecodeStage::decode_whole(std::span<const float> latent, const CheckCancelled& check) {
  std::vector<uint8_t> rgb(picture_bytes(programs_->grid));
  shapes_.front().write_input("latent", latent);
  shapes_.front().run(check);
  shapes_.front().read_output("image", std::as_writable_bytes(std::span(rgb)));
  return rgb;
}

}  // namespace tempera
