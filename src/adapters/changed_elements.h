// The reader of a parameter whose values a formula computes tile by tile. The formula's factors are prepared when the
// first element is read, and released when the last one is given back, because the readers of streamed parameters live
// as long as the engine.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "adapters/tile.h"

namespace tempera {

// A formula that is ready to compute. Methods may be called from several threads at once.
class ReadyFormula {
 public:
  virtual ~ReadyFormula() = default;
  ReadyFormula() = default;
  ReadyFormula(const ReadyFormula&) = delete;
  ReadyFormula& operator=(const ReadyFormula&) = delete;

  // Writes the values of the changed parameter, dense. They do not depend on the tile that contains them.
  virtual void write(const Tile& tile, float* values) const = 0;
};

class ChangedElements final : public ElementReader {
 public:
  struct Formula {
    // May read all of `below`. Never called by two threads at once.
    std::function<std::unique_ptr<const ReadyFormula>()> prepare;
    // Gives back elements of parts that the formula reads at the parameter's own pace; does not throw; may be empty.
    std::function<void(size_t first, size_t n)> done;
  };

  ChangedElements(std::shared_ptr<const ElementReader> below, MatrixShape shape, Formula formula);

  void read_block(const ElementBlock& block, DType to, std::byte* destination, size_t pitch) const override;
  void done(size_t first, size_t n) const noexcept override;

 private:
  void read_run(const ReadyFormula& formula, size_t first, size_t n, DType to, std::byte* destination) const;
  std::shared_ptr<const ReadyFormula> ready() const;

  std::shared_ptr<const ElementReader> below_;
  MatrixShape shape_;
  Formula formula_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const ReadyFormula> ready_;
};

}  // namespace tempera
