// conv2d for bf16 on processors without bf16 arithmetic. Weights stay bf16 in memory. They are expanded slice by slice
// of output channels (upcast.cpp), pictures band by band of rows.
//
// If oneDNN has its AVX2 kernel, bands are f32 images in blocks of eight channels, (C / 8, rows, W, 8). On them the
// kernel reaches 170 to 200 GFLOP/s for every width. On whole NHWC images it falls from 170 to 100 as they become wider
// (two cores of Zen 3, 128 to 640 channels, 64 to 512 pixels wide). A band has its own zeros for rows outside the
// picture, so that all bands are one problem.
#include <array>

#include "backend/cpu/onednn/pieces.h"

namespace tempera::onednn {
namespace {

constexpr int64_t kBandBytes = 8 << 20;  // of input rows at a time, in f32
constexpr int64_t kBlock = 8;            // channels
constexpr int64_t kPixels = 8;           // transposed at a time
constexpr int64_t kChannels = 512;       // transposed at a time
constexpr std::string_view kDirect = "jit:avx2";

// Null if oneDNN's AVX2 kernel cannot run the problem, or if the processor has better kernels, on which this was not
// measured.
std::shared_ptr<const Plan> blocked_plan(Library& library, ConvSpec spec) {
  const dnnl::cpu_isa isa = dnnl::get_effective_cpu_isa();
  if (isa != dnnl::cpu_isa::avx2 && isa != dnnl::cpu_isa::avx2_vnni) return nullptr;
  spec.blocked = true;
  try {
    auto plan = library.plan(spec);
    return plan->implementation == kDirect ? plan : nullptr;
  } catch (const Error&) {
    return nullptr;
  }
}

class UpcastConv {
 public:
  UpcastConv(Library& library, const Problem& p, const Binding& at)
      : op_(std::get<Conv2d>(p.op)),
        head_(p.inputs[0].shape[3]),
        x_shape_(p.inputs[0].shape),
        out_shape_(p.output.shape),
        at_(at),
        store_(p, at, op_.residual) {
    x_shape_.set(3, p.inputs[1].shape[1]);
    const int64_t row_bytes = x_shape_[2] * x_shape_[3] * 4;
    band_ = std::clamp<int64_t>(kBandBytes / (row_bytes * op_.stride), 1, out_shape_[1]);
    spec_ = {.batch = 1,
             .height = (band_ - 1) * op_.stride + op_.kernel,
             .width = x_shape_[2],
             .channels = x_shape_[3],
             .out = slice_of(out_shape_[3], x_shape_[3] * op_.kernel * op_.kernel),
             .kernel = op_.kernel,
             .stride = op_.stride,
             .pad_top = 0,
             .pad_bottom = 0,
             .pad_left = op_.pad_before,
             .pad_right = op_.pad_after,
             .bias = op_.bias,
             .activation = op_.activation};
    plan_ = make_plan(library);
    Pieces pieces(at.workspace);
    x_ = pieces.take(static_cast<size_t>(spec_.height * row_bytes));
    w_ = pieces.take(static_cast<size_t>(plan_->layout.elements) * 4);
    y_ = pieces.take(static_cast<size_t>(band_ * out_shape_[2] * spec_.out) * 4);
    scratch_ = pieces.take(plan_->scratch);
    workspace_ = pieces.used();
    if (at.output != nullptr) call_ = std::make_shared<Call>(library, plan_, args(0));
  }

  size_t workspace() const { return workspace_; }
  WeightLayout layout() const { return stored_bf16(plan_->layout); }
  int pieces() const { return static_cast<int>(out_shape_[3] / spec_.out); }
  static bool shares_layout() { return true; }

  void operator()(Queue&) const {
    for (int64_t o = 0; o < out_shape_[3]; o += spec_.out) {
      const int64_t elements = plan_->layout.elements;
      expand(reinterpret_cast<const bf16*>(at_.inputs[1]) + o / spec_.out * elements, w_, elements);
      call_->set(args(o));
      for (int64_t n = 0; n < out_shape_[0]; ++n)
        for (int64_t row = 0; row < out_shape_[1]; row += band_) band(n, std::min(row, out_shape_[1] - band_), o);
    }
  }

 private:
  std::shared_ptr<const Plan> make_plan(Library& library) {
    const bool whole =
        spec_.kernel > 1 && head_ % kBlock == 0 && spec_.channels % kBlock == 0 && spec_.out % kBlock == 0;
    std::shared_ptr<const Plan> plan = whole ? blocked_plan(library, spec_) : nullptr;
    blocked_ = plan != nullptr;
    return blocked_ ? plan : library.plan(spec_);
  }

  CallArgs args(int64_t o) const {
    const float* bias = op_.bias ? reinterpret_cast<const float*>(at_.inputs[2]) + o : nullptr;
    return {x_, w_, bias, nullptr, y_, scratch_};
  }

  // The offset of channel c of pixel `column` in row i of a band of `rows` rows of `width` pixels of `channels`
  // channels.
  int64_t place(int64_t i, int64_t column, int64_t c, int64_t rows, int64_t width, int64_t channels) const {
    if (!blocked_) return (i * width + column) * channels + c;
    return ((c / kBlock * rows + i) * width + column) * kBlock;
  }

  // Some channels of neighbouring pixels, as a buffer between an image and a band.
  using Turned = std::array<std::array<float, kChannels>, kPixels>;

  // Calls move(pixel, channel, count) for all n channels of `count` pixels, in the pieces that are together in a band.
  template <class Move>
  void turn(int64_t n, int64_t count, const Move& move) const {
    const int64_t step = blocked_ ? kBlock : n;
    for (int64_t c = 0; c < n; c += step)
      for (int64_t p = 0; p < count; ++p) move(p, c, step);
  }

  // Copies `row` of all pictures to row i of the band: first the channels of x, then those of the tail.
  void load(int64_t row, int64_t i) const {
    const int64_t width = x_shape_[2], channels = x_shape_[3];
    const auto part = [&](const std::byte* from, int64_t own, int64_t first) {
      const bf16* x = reinterpret_cast<const bf16*>(from) + row * width * own;
      Turned pixels;
      for (int64_t column = 0; column < width; column += kPixels)
        for (int64_t c0 = 0; c0 < own; c0 += kChannels) {
          const int64_t count = std::min(kPixels, width - column), n = std::min(kChannels, own - c0);
          for (int64_t p = 0; p < count; ++p)
            expand_bf16(x + (column + p) * own + c0, pixels[static_cast<size_t>(p)].data(), n);
          turn(n, count, [&](int64_t p, int64_t c, int64_t step) {
            std::copy_n(pixels[static_cast<size_t>(p)].data() + c, step,
                        x_ + place(i, column + p, first + c0 + c, spec_.height, width, channels));
          });
        }
    };
    part(at_.inputs[0], head_, 0);
    if (op_.tail) part(at_.inputs[tail_input(op_)], channels - head_, head_);
  }

  void zero(int64_t i) const {
    const int64_t width = x_shape_[2], channels = x_shape_[3], blocks = blocked_ ? channels / kBlock : 1;
    for (int64_t b = 0; b < blocks; ++b)
      std::fill_n(x_ + place(i, 0, b * kBlock, spec_.height, width, channels), width * channels / blocks, 0.0f);
  }

  // Copies row i of the band's output to the elements that begin at `first`.
  void store(int64_t i, int64_t first) const {
    const int64_t width = out_shape_[2], channels = out_shape_[3];
    Turned pixels;
    for (int64_t column = 0; column < width; column += kPixels)
      for (int64_t c0 = 0; c0 < spec_.out; c0 += kChannels) {
        const int64_t count = std::min(kPixels, width - column), n = std::min(kChannels, spec_.out - c0);
        turn(n, count, [&](int64_t p, int64_t c, int64_t step) {
          std::copy_n(y_ + place(i, column + p, c0 + c, band_, width, spec_.out), step,
                      pixels[static_cast<size_t>(p)].data() + c);
        });
        for (int64_t p = 0; p < count; ++p)
          store_.row(pixels[static_cast<size_t>(p)].data(), n, first + (column + p) * channels + c0);
      }
  }

  void band(int64_t n, int64_t out_row, int64_t o) const {
    const int64_t height = x_shape_[1], width = out_shape_[2], channels = out_shape_[3];
    parallel_ranges(spec_.height, grain_for(x_shape_[2] * x_shape_[3] * 4), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = out_row * op_.stride - op_.pad_before + i;
        if (row >= 0 && row < height) {
          load(n * height + row, i);
        } else {
          zero(i);
        }
      }
    });
    call_->run();
    parallel_ranges(band_, grain_for(width * spec_.out * 4), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) store(i, (n * out_shape_[1] + out_row + i) * width * channels + o);
    });
  }

  Conv2d op_;
  int64_t head_;               // channels of x without the tail
  Shape x_shape_, out_shape_;  // x's with the tail
  Binding at_;
  Store store_;
  int64_t band_;  // output rows at a time
  ConvSpec spec_;
  bool blocked_ = false;
  std::shared_ptr<const Plan> plan_;
  float *x_, *w_, *y_, *scratch_;
  size_t workspace_ = 0;
  std::shared_ptr<Call> call_;
};

}  // namespace

void add_conv_upcast_kernels(std::vector<Kernel>& table, const std::shared_ptr<Library>& library) {
  add_row_of_pieces<UpcastConv>(table, library, "conv2d/upcast", OpKind::conv2d, DType::bf16);
}

}  // namespace tempera::onednn
